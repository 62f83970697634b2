"""The options of ``beam-mat check``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from apache_beam.options.pipeline_options import PipelineOptions

from beam_mat.command_line import CommandLine
from beam_mat.config import parser
from beam_mat.core.contract.entry import COLUMNS, TAGS
from beam_mat.core.geometry import QWEN2_VL, QWEN3_VL, TokenRule

MODELS: dict[str, TokenRule] = {
    "qwen2_vl": QWEN2_VL,
    "qwen2_5_vl": QWEN2_VL,
    "qwen3_vl": QWEN3_VL,
}
MAX_PIXELS = 768 * 768
"""LLaMA-Factory's default of ``image_max_pixels``."""

EXAMPLES = (
    "beam-mat check dataset",
    "beam-mat check data --name my_set --media-dir pictures --model qwen2_5_vl --cutoff-len 8192",
    "beam-mat check rows.jsonl --columns messages=conversations images=image",
)
WANTED = ("DATASET   a folder with dataset_info.json, or a data file with --columns",)
MORE = """\
Any Apache Beam option is passed through (--runner, --direct_num_workers, ...).
Exit codes: 0 nothing was found, 1 failed, 2 configuration, 3 violations.
"""


def _add_options(parser: argparse.ArgumentParser) -> None:
    what = parser.add_argument_group("what to check")
    what.add_argument(
        "--name", metavar="ENTRY", help="one entry of dataset_info.json (default: all)"
    )
    what.add_argument(
        "--media-dir",
        dest="media_dir",
        metavar="URI",
        help="the folder that image paths begin at, as LLaMA-Factory's media_dir "
        "(default: the dataset's folder)",
    )
    what.add_argument(
        "--storage-options",
        dest="storage_options",
        metavar="JSON|FILE",
        help="as for beam-mat convert",
    )
    what.add_argument(
        "--columns",
        nargs="+",
        metavar="NAME=COLUMN",
        help=f"where there is no dataset_info.json: {', '.join(COLUMNS)}",
    )
    what.add_argument(
        "--tags",
        nargs="+",
        metavar="TAG=WORD",
        help=f"the same for {', '.join(TAGS)} (default: LLaMA-Factory's)",
    )
    training = parser.add_argument_group("what training will be told")
    training.add_argument("--model", metavar="|".join(MODELS), help="count the tokens of images")
    training.add_argument(
        "--cutoff-len", dest="cutoff_len", metavar="N", help="with --model: find rows that are cut"
    )
    training.add_argument(
        "--image-max-pixels",
        dest="image_max_pixels",
        default=str(MAX_PIXELS),
        metavar="N",
        help="larger images are scaled down to N pixels (default: %(default)s)",
    )
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")


def command_line() -> CommandLine:
    """The command's own options, not the hundreds of Beam's."""
    line = CommandLine(
        "check",
        "Holds a dataset against what LLaMA-Factory does with it, and says what will fail, what "
        "will be dropped, and what to do.",
        EXAMPLES,
        usage="beam-mat check DATASET [options]",
        more=MORE,
    )
    line.add_argument("dataset", nargs="?", metavar="DATASET", help=argparse.SUPPRESS)
    _add_options(line)
    return line


def help_text() -> str:
    """The command's help."""
    return command_line().format_help().rstrip()


def parse(argv: Sequence[str]) -> tuple[argparse.Namespace, PipelineOptions, list[str]]:
    """Tells this command's words from Beam's.

    Not a kind of PipelineOptions, since ``--json`` is something else to `ConvertOptions`.

    Returns:
        What was typed (``dataset`` is None where it is missing), Beam's options, and the words that
        nobody knows.
    """
    command_line().hold_to_words(argv, WANTED)
    whole = parser(command="check")
    _add_options(whole)
    whole.add_argument("dataset", nargs="?")
    typed, unknown = whole.parse_known_args(list(argv))
    own = argparse.ArgumentParser(allow_abbrev=False, add_help=False)
    _add_options(own)
    _, rest = own.parse_known_args(list(argv))
    if typed.dataset in rest:
        rest.remove(typed.dataset)
    return typed, PipelineOptions(rest), unknown
