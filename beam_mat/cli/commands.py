"""The commands: the only list of them.

The dispatcher, the usage text, shell completion and the tests of the documents read it. To add a
command, write a module with `command_line` and `run` as in `beam_mat.cli.verify`, and add a row.
"""

import contextlib
import gc
import importlib
from collections.abc import Iterator, Sequence
from typing import Protocol, cast

from beam_mat.cli.command_line import CommandLine

COMMANDS = {
    "convert": "make a LLaMA-Factory dataset from MAT shards and image zips",
    "watch": "update a dataset while shards and zips arrive",
    "check": "find what LLaMA-Factory would reject or drop in a dataset",
    "show": "print a trajectory or a rejected record",
    "verify": "compare every file of a dataset with its manifest",
    "log": "list the generations of a dataset",
    "diff": "show what differs between two generations, and why",
    "vacuum": "remove the files that no kept generation needs",
    "report": "make the report of a dataset again",
    "publish": "publish a finished job whose driver has ended",
    "sample": "make a small dataset in the format of MAT, for a first try",
    "doctor": "show what is installed and what works on this machine",
    "completion": "print a script that makes a shell complete beam-mat",
}
"""Each command, with its help, in the order of the usage text. Its module has the same name."""


class Command(Protocol):
    """What the module of a command has."""

    def command_line(self) -> CommandLine:
        """The arguments of the command."""

    def run(self, argv: Sequence[str]) -> int | None:
        """Runs the command with what follows its name, and returns the exit code, or None for 0.

        A BeamMatError that it raises has an exit code of its own.
        """


def load(name: str) -> Command:
    """Imports the module of a command, which imports Apache Beam and pyarrow only when it runs."""
    return cast(Command, importlib.import_module(f"beam_mat.cli.{name}"))


@contextlib.contextmanager
def loading() -> Iterator[None]:
    """Imports faster: what is imported stays, so looking through it for garbage wastes time."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
