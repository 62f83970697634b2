"""``beam-mat completion``: prints a script that makes a shell complete command lines.

shtab makes the script from the commands' own parsers, once: completing starts no Python.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from beam_mat.cli.command_line import CommandLine
from beam_mat.cli.commands import COMMANDS
from beam_mat.cli.printing import print_text
from beam_mat.core.errors import ConfigError

SHELLS = ("bash", "zsh", "fish")
BEAM_OPTIONS = {
    "--runner": "where the job runs",
    "--direct_num_workers": "worker processes",
    "--direct_running_mode": "threads or processes",
    "--prism_location": "Beam's Prism",
}
"""Those of Beam's many options that are worth completing, with their help."""
_RUNNERS = ("DirectRunner", "PrismRunner", "DataflowRunner", "FlinkRunner")
_PLACES = {"URI", "DATASET", "OUTPUT", "DIR", "JSON|FILE", "PATH"}
"""Names that the help has for a value that may be a file or folder."""


def command_line() -> CommandLine:
    """The arguments of the command."""
    line = CommandLine(
        "completion",
        "Prints a script that makes a shell complete beam-mat's commands, options and file names.",
        (
            "beam-mat completion bash > ~/.local/share/bash-completion/completions/beam-mat",
            "beam-mat completion zsh > ~/.zfunc/_beam-mat    # a folder in $fpath, before compinit",
            "beam-mat completion fish > ~/.config/fish/completions/beam-mat.fish",
            'eval "$(beam-mat completion bash)"',
        ),
    )
    line.add_argument("shell", metavar="SHELL", choices=SHELLS, help=", ".join(SHELLS))
    return line


def run(argv: Sequence[str]) -> int:
    """Runs the command.

    Args:
        argv: What follows ``completion``.

    Raises:
        ConfigError: There is no script for this shell.
    """
    typed = command_line().read(argv)
    import shtab

    try:
        print_text(shtab.complete(_all_commands(), typed.shell))
    except NotImplementedError as error:
        raise ConfigError([f"SHELL {typed.shell}: {error}; pip install -U shtab"]) from error
    return 0


def _all_commands() -> argparse.ArgumentParser:
    """One parser of all commands, as shtab wants it."""
    whole = argparse.ArgumentParser(prog="beam-mat")
    whole.add_argument("--version", action="store_true", help="print the version")
    parsers = whole.add_subparsers()
    for command in COMMANDS.values():
        line = command.load().command_line()
        for action in line._actions:
            _describe(action)
        parsers.add_parser(
            command.name,
            parents=[line],
            add_help=False,
            help=command.help,
            description=command.help,
        )
    return whole


def _describe(action: argparse.Action) -> None:
    """Tells shtab what may follow an option."""
    import shtab

    option = action.option_strings[0] if action.option_strings else ""
    if option in BEAM_OPTIONS:
        action.help = BEAM_OPTIONS[option]
    if option == "--runner":
        action.choices = _RUNNERS
    metavar = "PATH" if option == "--prism_location" else str(action.metavar)
    if metavar in _PLACES:
        action.complete = shtab.FILE  # type: ignore[attr-defined]  # shtab looks for it
    elif "|" in metavar and action.choices is None:
        action.choices = metavar.split("|")
