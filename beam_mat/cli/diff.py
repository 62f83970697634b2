"""``beam-mat diff``: what differs between two generations of a dataset, and why."""

from beam_mat.cli import values
from beam_mat.cli.command_line import CommandLine
from beam_mat.cli.options import output_of
from beam_mat.core.errors import ConfigError


def command_line() -> CommandLine:
    line = CommandLine(
        "diff",
        "Shows which records and images came, went or changed between two generations of a "
        "dataset, and why.",
        ("beam-mat diff dataset@1 dataset@2", "beam-mat diff gs://b/mat@41 gs://b/mat@42 --json"),
    )
    line.add_argument("before", type=values.generation, metavar="DATASET@N", help="one generation")
    line.add_argument(
        "after", type=values.generation, metavar="DATASET@M", help="another generation of it"
    )
    line.add_argument("--json", action="store_true", help="print one JSON object per change")
    line.add_argument("--storage-options", metavar="JSON|FILE", help="as for beam-mat convert")
    return line


def run(argv: list[str]) -> None:
    typed = command_line().read(argv)
    (uri, before), (other, after) = typed.before, typed.after
    if uri.rstrip("/") != other.rstrip("/"):
        fault = f"{other}@{after}: is not a generation of {uri}; name the same dataset twice"
        raise ConfigError([fault])
    output = output_of(uri, typed.storage_options, writes=False)
    from rich.console import Console

    from beam_mat.dataset import log
    from beam_mat.dataset.diff import diff
    from beam_mat.report.printed import print_diff

    found = diff(output, log.snapshot(output, before), log.snapshot(output, after))
    print_diff(found, None if typed.json else Console())
