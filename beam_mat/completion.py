"""``beam-mat completion``: what makes a shell complete commands, options and file names.

The script is made from the commands' own parsers by shtab, once: completing starts no Python.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence

import shtab

from beam_mat import check, convert, doctor, finish, show, verify
from beam_mat.command_line import CommandLine
from beam_mat.core.errors import ConfigError
from beam_mat.report import command as report
from beam_mat.sample import command as sample
from beam_mat.watch import options as watch

SHELLS = ("bash", "zsh", "fish")
_RUNNERS = ("DirectRunner", "PrismRunner", "DataflowRunner", "FlinkRunner")
_PLACES = {"URI", "DATASET", "OUTPUT", "DIR", "JSON|FILE", "PATH"}
"""What the help calls a value that may be a file or folder."""


def command_line() -> CommandLine:
    """The command's words."""
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


COMMANDS: dict[str, Callable[[], argparse.ArgumentParser]] = {
    "convert": convert.command_line,
    "watch": watch.command_line,
    "check": check.command_line,
    "show": show.command_line,
    "verify": verify.command_line,
    "report": report.command_line,
    "publish": finish.command_line,
    "sample": sample.command_line,
    "doctor": doctor.command_line,
    "completion": command_line,
}
"""The parser of every command."""

BEAM_COMMANDS = ("convert", "watch", "check")
"""Those that take Beam's options too, of which there are hundreds; a few are worth completing."""


def script(argv: Sequence[str]) -> str:
    """The script for the shell that was asked for.

    Args:
        argv: What follows ``completion``.

    Raises:
        ConfigError: There is none for this shell.
    """
    typed = command_line().read(argv)
    try:
        return shtab.complete(_whole(), typed.shell)
    except NotImplementedError as error:
        raise ConfigError([f"SHELL {typed.shell}: {error}; pip install -U shtab"]) from error


def _whole() -> argparse.ArgumentParser:
    """One parser of all commands, as shtab wants it."""
    whole = argparse.ArgumentParser(prog="beam-mat")
    whole.add_argument("--version", action="store_true", help="print the version")
    commands = whole.add_subparsers()
    for name, make in COMMANDS.items():
        line = make()
        if name in BEAM_COMMANDS:
            _add_beam_options(line)
        for action in line._actions:
            _add_values(action)
        does = " ".join((line.description or name).split("\n\n")[0].split()).split(". ")[0]
        commands.add_parser(name, parents=[line], add_help=False, help=does, description=does)
    return whole


def _add_beam_options(line: argparse.ArgumentParser) -> None:
    group = line.add_argument_group("Apache Beam")
    group.add_argument("--runner", choices=_RUNNERS, help="where the job runs")
    group.add_argument("--direct_num_workers", metavar="N", help="worker processes")
    group.add_argument(
        "--direct_running_mode", metavar="in_memory|multi_threading|multi_processing"
    )
    group.add_argument("--prism_location", metavar="PATH", help="Beam's Prism")


def _add_values(action: argparse.Action) -> None:
    """Tells shtab what may stand behind an option."""
    metavar = str(action.metavar)
    if metavar in _PLACES:
        action.complete = shtab.FILE  # type: ignore[attr-defined]  # shtab's way to be told
    elif "|" in metavar and action.choices is None:
        action.choices = metavar.split("|")
