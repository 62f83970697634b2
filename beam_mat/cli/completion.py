"""``beam-mat completion``: prints a script that makes a shell complete command lines.

shtab makes the script from the commands' own parsers, once: completing starts no Python.
"""

import argparse

import shtab

from beam_mat.cli.command_line import CommandLine
from beam_mat.cli.entry import COMMANDS, load, print_text
from beam_mat.core.errors import ConfigError

SHELLS = ("bash", "zsh", "fish")
_BEAM_OPTIONS = {
    "--runner": "where the job runs",
    "--direct_num_workers": "worker processes",
    "--direct_running_mode": "threads or processes",
    "--prism_location": "Beam's Prism",
}
"""Those of Beam's many options that are worth completing, with their help."""
_RUNNERS = ("DirectRunner", "PrismRunner", "DataflowRunner", "FlinkRunner")
_PLACES = {"URI", "DATASET", "OUTPUT", "DIR", "JSON|FILE"}
"""Names that the help has for a value that may be a file or folder."""


def command_line() -> CommandLine:
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


def run(argv: list[str]) -> None:
    typed = command_line().read(argv)
    whole = argparse.ArgumentParser(prog="beam-mat")
    whole.add_argument("--version", action="store_true", help="print the version")
    parsers = whole.add_subparsers()
    for name, help in COMMANDS.items():
        line = load(name).command_line()
        for action in line._actions:
            _describe(action)
        parsers.add_parser(name, parents=[line], add_help=False, help=help, description=help)
    try:
        print_text(shtab.complete(whole, typed.shell))
    except NotImplementedError as error:
        raise ConfigError([f"SHELL {typed.shell}: {error}; pip install -U shtab"]) from error


def _describe(action: argparse.Action) -> None:
    """Tells shtab what may follow an option."""
    option, name = "".join(action.option_strings[:1]), str(action.metavar)
    action.help = _BEAM_OPTIONS.get(option, action.help)
    if option == "--runner":
        action.choices = _RUNNERS
    if name in _PLACES or option == "--prism_location":
        action.complete = shtab.FILE  # type: ignore[attr-defined]  # shtab looks for it
    elif "|" in name and action.choices is None:
        action.choices = name.split("|")
