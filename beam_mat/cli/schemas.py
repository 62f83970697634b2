"""``beam-mat schemas``: the shapes of records that convert reads, each with an example."""

from beam_mat.cli.command_line import CommandLine
from beam_mat.cli.entry import print_text


def command_line() -> CommandLine:
    return CommandLine(
        "schemas",
        "Lists the shapes of records that beam-mat convert and watch read, each with the published "
        "sets that have it, and a record as an example.",
        ("beam-mat schemas",),
    )


def run(argv: list[str]) -> None:
    command_line().read(argv)
    import json

    from beam_mat.core.schemas.table import TABLE

    listed = (
        f"{schema.value}: {entry.sets}\n  {json.dumps(entry.example)}"
        for schema, entry in TABLE.items()
    )
    print_text("\n\n".join(listed))
