"""``beam-mat doctor``: shows what is installed and what works here."""

from beam_mat.cli.command_line import CommandLine


def command_line() -> CommandLine:
    return CommandLine(
        "doctor",
        "Shows what is installed, which runners work here (it runs one small pipeline), what the "
        "machine has, and whether credentials are present. It contacts no other machine, and "
        "neither reads nor prints a secret.",
        ("beam-mat doctor",),
        more="Exit codes: 0 conversions work here, 1 they do not.",
    )


def run(argv: list[str]) -> int:
    command_line().read(argv)
    from rich.console import Console

    from beam_mat.doctor import examine

    return examine(Console())
