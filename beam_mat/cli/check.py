"""``beam-mat check``: compares a dataset with what LLaMA-Factory does with it."""

import argparse

from beam_mat.cli import values
from beam_mat.cli.command_line import CommandLine
from beam_mat.cli.options import add_image_workers
from beam_mat.core.contract.entry import COLUMNS, TAGS
from beam_mat.core.contract.examine import Rules
from beam_mat.core.geometry import QWEN2_VL, QWEN3_VL

MODELS = {"qwen2_vl": QWEN2_VL, "qwen2_5_vl": QWEN2_VL, "qwen3_vl": QWEN3_VL}


def command_line() -> CommandLine:
    line = CommandLine(
        "check",
        "Checks whether LLaMA-Factory can train on a dataset. It reports what would stop the "
        "training, what would be dropped, and how to fix it.",
        (
            "beam-mat check dataset",
            "beam-mat check data --name my_set --media-dir pictures --model qwen2_5_vl "
            "--cutoff-len 8192",
            "beam-mat check rows.jsonl --columns messages=conversations images=image",
        ),
        usage="beam-mat check DATASET [options]",
        more="Exit codes: 0 nothing was found, 1 failed, 2 configuration, 3 violations.",
        needs=("DATASET   a folder with dataset_info.json, or a data file with --columns",),
        takes_beam=True,
    )
    line.add_argument("dataset", nargs="?", metavar="DATASET", help=argparse.SUPPRESS)
    group = line.add_argument_group("what to check")
    group.add_argument(
        "--name", metavar="ENTRY", help="one entry of dataset_info.json (default: all)"
    )
    group.add_argument(
        "--media-dir",
        metavar="URI",
        help="the folder that image paths start from, as LLaMA-Factory's media_dir "
        "(default: the dataset's folder)",
    )
    group.add_argument("--storage-options", metavar="JSON|FILE", help="as for beam-mat convert")
    add_image_workers(group)
    group.add_argument(
        "--columns",
        type=values.pair(COLUMNS),
        nargs="+",
        metavar="NAME=COLUMN",
        help=f"if there is no dataset_info.json: {', '.join(COLUMNS)}",
    )
    group.add_argument(
        "--tags",
        type=values.pair(tuple(TAGS)),
        nargs="+",
        metavar="TAG=WORD",
        help=f"the same for {', '.join(TAGS)} (default: LLaMA-Factory's)",
    )
    group = line.add_argument_group("options of the training run")
    group.add_argument(
        "--model",
        type=values.one_of(*MODELS),
        metavar="|".join(MODELS),
        help="count the tokens of images",
    )
    group.add_argument(
        "--cutoff-len",
        type=values.whole_number(1),
        metavar="N",
        help="with --model: find rows that are cut",
    )
    group.add_argument(
        "--image-max-pixels",
        type=values.whole_number(28 * 28),
        default=768 * 768,  # LLaMA-Factory's
        metavar="N",
        help="larger images are scaled down to N pixels (default: %(default)s)",
    )
    line.add_argument("--json", action="store_true", help="print the findings as JSON")
    return line


def run(argv: list[str]) -> int:
    typed, faults = command_line().parse(argv)
    if len({"model", "cutoff_len"} & typed.given) == 1:
        faults.append("--model and --cutoff-len belong together; give both or neither")
    if not typed.dataset:
        faults.append("DATASET is missing: name it first, for example beam-mat check dataset")
    if "tags" in typed.given and "columns" not in typed.given:
        faults.append("--tags is given without --columns; add --columns messages=...")
    from beam_mat.check.job import CheckJob, resolve

    job = CheckJob(
        dataset=typed.dataset or "",
        name=typed.name,
        media=typed.media_dir or "",
        columns=dict(typed.columns or ()),
        tags=dict(typed.tags or ()),
        rules=Rules(typed.image_max_pixels, typed.cutoff_len, MODELS.get(typed.model)),
        storage=typed.storage_options or "",
        image_workers=typed.image_workers,
        beam=typed.beam,
    )
    resolve(job, faults)
    from beam_mat.check.driver import run_check
    from beam_mat.runners.choose import pipeline_options

    options = pipeline_options(job.beam)
    return run_check(job, options, to_json=typed.json)
