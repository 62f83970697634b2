"""The commands: the only list of them.

The dispatcher, the usage text, shell completion and the tests of the documents read it. To add a
command, write a module with `command_line` and `run` as in `beam_mat.cli.verify`, and add a row.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import NamedTuple, Protocol, cast

from beam_mat.cli.command_line import CommandLine


class CommandModule(Protocol):
    """What the module of a command has."""

    def command_line(self) -> CommandLine:
        """The arguments of the command."""

    def run(self, argv: Sequence[str]) -> int:
        """Runs the command with what follows its name, and returns the exit code.

        Raises:
            BeamMatError: With the exit code that it stands for.
        """


class Command(NamedTuple):
    """A command: its name, one line of help, and the module that has it."""

    name: str
    help: str
    module: str

    def load(self) -> CommandModule:
        """Imports the module. It must not import Apache Beam or pyarrow until it runs."""
        return cast(CommandModule, importlib.import_module(f"beam_mat.cli.{self.module}"))


_ALL = (
    Command("convert", "make a LLaMA-Factory dataset from MAT shards and image zips", "convert"),
    Command("watch", "keep such a dataset current while shards and zips arrive", "watch"),
    Command("check", "find what LLaMA-Factory would reject or drop in a dataset", "check"),
    Command("show", "print a trajectory or a rejected record for reading", "show"),
    Command("verify", "compare every file of a dataset with its manifest", "verify"),
    Command("log", "list the generations of a dataset", "log"),
    Command("diff", "show what differs between two generations, and why", "diff"),
    Command("vacuum", "remove the files that no kept generation needs", "vacuum"),
    Command("report", "make the report of a dataset again", "report"),
    Command("publish", "publish a finished job whose driver has ended", "publish"),
    Command("sample", "make a small MAT-shaped set to try things out", "sample"),
    Command("doctor", "show what is installed and what works on this machine", "doctor"),
    Command("completion", "print a script that makes a shell complete beam-mat", "completion"),
)

COMMANDS = {command.name: command for command in _ALL}
"""Every command by name, in the order of the usage text."""
