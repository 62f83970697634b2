"""The ``beam-mat`` command: finds the command that was typed, and turns errors into exit codes.

To add a command, add a row to `COMMANDS`, and a module of that name with two functions as in
`beam_mat.cli.verify`: `command_line` returns its arguments, and `run` runs it with the words that
follow its name. `run` returns an exit code, or None for 0, or raises a BeamMatError that has one.
"""

import atexit
import contextlib
import ctypes
import gc
import importlib
import os
import sys
import traceback
from collections.abc import Sequence
from types import ModuleType

import beam_mat
from beam_mat.cli.command_line import did_you_mean
from beam_mat.core.display import one_line, visible
from beam_mat.core.errors import BeamMatError, ConfigError, NothingAskedError
from beam_mat.runners.causes import cause_of
from beam_mat.runners.logs import quieten

COMMANDS = {
    "convert": "make a LLaMA-Factory dataset from JSON shards and images",
    "watch": "update a dataset while shards and zips arrive",
    "check": "find what LLaMA-Factory would reject or drop in a dataset",
    "show": "print a trajectory or a rejected record",
    "verify": "compare every file of a dataset with its manifest",
    "log": "list the generations of a dataset",
    "diff": "show what differs between two generations, and why",
    "vacuum": "remove the files that no kept generation needs",
    "report": "make the report of a dataset again",
    "publish": "publish a finished job whose driver has ended",
    "schemas": "list the shapes of records that are read, with examples",
    "sample": "make a small dataset in the format of MAT, for a first try",
    "doctor": "show what is installed and what works on this machine",
    "completion": "print a script that makes a shell complete beam-mat",
}
"""The only list of commands, each with its help, in the order of the usage text."""

_USAGE = """\
usage: beam-mat COMMAND ...

{commands}

To begin: beam-mat sample demo, then
  beam-mat convert --json demo/mat_train.json --images demo/files.zip --output dataset

beam-mat COMMAND --help describes a command; beam-mat --version prints the version.
Exit codes: 0 done, 1 failed, 2 configuration, 3 more rejected than --max-rejected allows, no
record accepted, or violations or damaged files found by check or verify.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line and returns its exit code."""
    words = sys.argv[1:] if argv is None else argv
    if not words or words[0] in ("-h", "--help", "help"):
        width = max(map(len, COMMANDS))
        lines = [f"  {name:<{width}}  {help}" for name, help in COMMANDS.items()]
        usage = _USAGE.format(commands="\n".join(lines))
        print(usage, end="", file=sys.stdout if words else sys.stderr)
        return 0 if words else 2
    if words[0] == "--version":
        print(f"beam-mat {beam_mat.__version__}")
        return 0
    nothing = "; nothing was published" if words[0] in ("convert", "publish") else ""
    try:
        return _run(words[0], list(words[1:]))
    except ConfigError as error:
        count = len(error.faults)
        errors = "error" if count == 1 else "errors"
        listed = "".join(f"\n  {one_line(fault)}" for fault in error.faults)
        return _failed(f"beam-mat: {count} configuration {errors}:{listed}", error.exit_code)
    except NothingAskedError as error:
        return _failed(str(error), error.exit_code)
    except BeamMatError as error:
        return _failed(f"beam-mat: {error}", error.exit_code)
    except KeyboardInterrupt:
        return _failed(f"beam-mat: interrupted{nothing}", 130)
    except Exception as error:  # noqa: BLE001  # the last resort
        if cause := cause_of(error):
            return _failed(f"beam-mat: {cause}", cause.exit_code)
        print(visible(traceback.format_exc()), end="", file=sys.stderr)
        return _failed(
            f"beam-mat: failed{nothing}; run the same command again, and please report what is "
            "printed above if that does not help",
            1,
        )


def _failed(text: str, code: int) -> int:
    print(visible(text), file=sys.stderr)  # it may quote a name that somebody else has chosen
    return code


def _run(name: str, argv: list[str]) -> int:
    if name not in COMMANDS:
        known = ", ".join(COMMANDS)
        fault = f"{name}: unknown command;{did_you_mean(name, COMMANDS)} the commands are {known}"
        raise ConfigError([fault])
    module = load(name)
    if "-h" in argv or "--help" in argv:
        print_text(module.command_line().format_help().rstrip())
        return 0
    quieten()
    # What is imported stays. Looking through it for garbage, often and at the end, takes a second.
    gc.set_threshold(10_000)
    atexit.register(gc.freeze)
    _share_one_heap()
    return int(module.run(argv) or 0)


def _share_one_heap() -> None:
    """Lets all threads share one heap: glibc would give each its own, and keep more memory."""
    with contextlib.suppress(OSError, AttributeError, TypeError):  # another C library
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1)


_M_ARENA_MAX = -8
"""A constant of glibc's malloc.h."""


def load(name: str) -> ModuleType:
    """Imports the module of a command, which imports Apache Beam and pyarrow only when it runs."""
    return importlib.import_module(f"beam_mat.cli.{name}")


def print_text(text: str) -> None:
    """Prints a long text to standard output, whose reader may close it early."""
    try:
        print(text, flush=True)
    except BrokenPipeError:  # the reader, such as head, has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
