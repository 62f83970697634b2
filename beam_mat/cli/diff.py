"""``beam-mat diff``: what differs between two generations of a dataset, and why."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from beam_mat.cli.command_line import CommandLine
from beam_mat.cli.output_argument import output_of
from beam_mat.core.errors import ConfigError


def command_line() -> CommandLine:
    """The arguments of the command."""
    line = CommandLine(
        "diff",
        "Shows which records and images came, went or changed between two generations of a "
        "dataset, and why.",
        ("beam-mat diff dataset@1 dataset@2", "beam-mat diff gs://b/mat@41 gs://b/mat@42 --json"),
    )
    line.add_argument("before", metavar="DATASET@N", help="one generation")
    line.add_argument("after", metavar="DATASET@M", help="another generation of the same dataset")
    line.add_argument("--json", action="store_true", help="print one JSON object a change")
    line.add_argument("--storage-options", metavar="JSON|FILE", help="as for beam-mat convert")
    return line


def run(argv: Sequence[str]) -> int:
    """Runs the command.

    Args:
        argv: What follows ``diff``.

    Raises:
        BeamMatError: A generation does not exist, or cannot be read.
    """
    typed = command_line().read(argv)
    before, after = _address(typed.before), _address(typed.after)
    faults = []
    for text, address in ((typed.before, before), (typed.after, after)):
        if address is None:
            faults.append(f"{text}: names no generation; give DATASET@N, such as dataset@1")
    if before and after and before[0].rstrip("/") != after[0].rstrip("/"):
        faults.append(f"{typed.after}: is no generation of {before[0]}; give one dataset twice")
    if faults or before is None or after is None:
        raise ConfigError(faults)
    one = argparse.Namespace(output=before[0], storage_options=typed.storage_options)
    output = output_of(one, writes=False)
    from rich.console import Console

    from beam_mat.dataset import log
    from beam_mat.dataset.diff import diff
    from beam_mat.report.printed import print_diff

    found = diff(output, log.snapshot(output, before[1]), log.snapshot(output, after[1]))
    print_diff(found, None if typed.json else Console())
    return 0


def _address(text: str) -> tuple[str, int] | None:
    """Splits a dataset's URI from its generation.

    >>> _address("gs://b/mat@42"), _address("dataset")
    (('gs://b/mat', 42), None)
    """
    uri, sign, number = text.rpartition("@")
    return (uri, int(number)) if sign and uri and number.isdecimal() else None
