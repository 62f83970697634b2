"""The options that ``convert`` and ``watch`` share: inputs, output and rules."""

from __future__ import annotations

import argparse

from beam_mat.cli import values
from beam_mat.cli.command_line import CommandLine
from beam_mat.core.geometry import Budget
from beam_mat.core.image import resizer_name
from beam_mat.core.settings import Settings

DEFAULT_REWRITE = "data/open_llava_next/=tongagent/"


def add_places(line: CommandLine, *, images: str, keep: str) -> None:
    """Adds the options for inputs and output.

    Args:
        line: The command line.
        images: The help of ``--images``.
        keep: The default of ``--keep-generations``, for its help.
    """
    group = line.add_argument_group("input and output")
    group.add_argument(
        "--json",
        nargs="+",
        metavar="URI",
        help="JSON shards: arrays of records or JSON Lines; globs and any fsspec URI",
    )
    group.add_argument("--images", nargs="+", metavar="URI", help=images)
    group.add_argument("--output", metavar="URI", help="folder to write the dataset to")
    group.add_argument(
        "--overwrite", action="store_true", help="replace the dataset that is in the output folder"
    )
    group.add_argument(
        "--storage-options",
        metavar="JSON|FILE",
        help="options of file systems, an object by protocol, such as "
        '{"gs": {"token": "anon"}}, or a file that holds one; use a file for secrets',
    )
    formats = group.add_argument(
        "--formats",
        default="jsonl,parquet",
        metavar="LIST",
        help="jsonl, parquet or both (default: %(default)s)",
    )
    group.add_argument(
        "--detach",
        action="store_true",
        help="with --runner DataflowRunner: submit the job, print where it is, and end",
    )
    line.check(formats, values.formats)
    generations = group.add_argument(
        "--keep-generations",
        metavar="N|all",
        help="how many generations of the dataset stay readable as URI@N; what no kept one needs "
        f"is removed (default: {keep})",
    )
    line.check(generations, values.generations)


def add_rules(line: CommandLine) -> None:
    """Adds the options that decide what comes out."""
    group = line.add_argument_group("rules")
    max_pixels = group.add_argument(
        "--max-pixels",
        default="262144",
        metavar="N",
        help="scale larger images down to N pixels, width times height (default: %(default)s)",
    )
    line.check(max_pixels, values.whole_number(28 * 28))
    min_pixels = group.add_argument(
        "--min-pixels",
        default="1024",
        metavar="N",
        help="scale smaller images up to N pixels (default: %(default)s)",
    )
    line.check(min_pixels, values.whole_number(1))
    rewrite = group.add_argument(
        "--rewrite",
        nargs="+",
        default=[DEFAULT_REWRITE],
        metavar="OLD=NEW",
        help="path prefixes to replace; the first that matches is used (default: %(default)s)",
    )
    line.check(rewrite, values.prefix)
    val_fraction = group.add_argument(
        "--val-fraction",
        default="0.0",
        metavar="FRACTION",
        help="share of ids, chosen by hash, for the validation set (default: %(default)s)",
    )
    line.check(val_fraction, values.fraction)
    limit = group.add_argument(
        "--limit", metavar="N", help="convert only the first N records, to try things out"
    )
    line.check(limit, values.whole_number(1))
    duplicates = group.add_argument(
        "--duplicates",
        default="keep",
        metavar="keep|drop",
        help="records with the id of an earlier record (default: %(default)s)",
    )
    line.check(duplicates, values.one_of(("keep", "drop")))
    exif = group.add_argument(
        "--exif",
        default="ignore",
        metavar="ignore|apply",
        help="EXIF orientation of images; LLaMA-Factory ignores it (default: %(default)s)",
    )
    line.check(exif, values.one_of(("ignore", "apply")))
    max_rejected = group.add_argument(
        "--max-rejected",
        metavar="FRACTION",
        help="publish nothing and exit with 3 when a greater share of records is rejected",
    )
    line.check(max_rejected, values.fraction)


def rules_of(typed: argparse.Namespace, faults: list[str]) -> Settings:
    """The rules that were typed: settings without places. Adds what is wrong to `faults`."""
    budget = Budget(typed.max_pixels, typed.min_pixels)
    if budget.min_pixels > budget.max_pixels:
        faults.append(
            f"--min-pixels {budget.min_pixels} is more than --max-pixels {budget.max_pixels}; "
            "lower the first or raise the second"
        )
    return Settings(
        output="",
        budget=budget,
        prefixes=typed.rewrite,
        formats=typed.formats,
        val_fraction=typed.val_fraction,
        drop_duplicates=typed.duplicates == "drop",
        apply_exif=typed.exif == "apply",
        resizer=resizer_name(),
    )


def missing(typed: argparse.Namespace, **cures: str) -> list[str]:
    """A fault for each option that is missing.

    Args:
        typed: What was typed.
        cures: What to do, by option.
    """
    return [
        f"--{name} is missing: {cure}" for name, cure in cures.items() if not typed.__dict__[name]
    ]
