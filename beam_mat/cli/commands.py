"""The commands: the only list of them.

The dispatcher, the usage text, shell completion and the tests of the documents read it. To add a
command, write a module with two functions as in `beam_mat.cli.verify`, and add a row:
`command_line` returns the arguments of the command, and `run` runs it with the words that follow
its name. `run` returns the exit code, or None for 0, or raises a BeamMatError, which has its own.
"""

import contextlib
import gc
import importlib
from collections.abc import Iterator
from types import ModuleType

COMMANDS = {
    "convert": "make a LLaMA-Factory dataset from MAT shards and image zips",
    "watch": "keep such a dataset current while shards and zips arrive",
    "check": "find what LLaMA-Factory would reject or drop in a dataset",
    "show": "print a trajectory or a rejected record for reading",
    "verify": "compare every file of a dataset with its manifest",
    "log": "list the generations of a dataset",
    "diff": "show what differs between two generations, and why",
    "vacuum": "remove the files that no kept generation needs",
    "report": "make the report of a dataset again",
    "publish": "publish a finished job whose driver has ended",
    "sample": "make a small MAT-shaped set to try things out",
    "doctor": "show what is installed and what works on this machine",
    "completion": "print a script that makes a shell complete beam-mat",
}
"""Each command, with its help, in the order of the usage text. Its module has the same name."""


def load(name: str) -> ModuleType:
    """Imports the module of a command, which imports Apache Beam and pyarrow only when it runs."""
    return importlib.import_module(f"beam_mat.cli.{name}")


@contextlib.contextmanager
def loading() -> Iterator[None]:
    """Imports faster: what is imported stays, so looking through it for garbage wastes time."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
