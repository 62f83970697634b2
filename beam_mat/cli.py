"""The ``beam-mat`` command: one small function a subcommand, errors to exit codes."""

from __future__ import annotations

import argparse
import contextlib
import gc
import logging
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import beam_mat
from beam_mat.core.errors import BeamMatError, ConfigError

USAGE = """\
usage: beam-mat COMMAND ...

  convert   make a LLaMA-Factory dataset out of MAT shards and image zips
  check     find what LLaMA-Factory would stumble over in a dataset
  verify    hold every file of a dataset against its manifest
  report    make the report of a dataset anew
  publish   publish a job that is done and that its driver has left
  sample    make a small MAT-shaped set to try things out

beam-mat COMMAND --help tells more; beam-mat --version prints the version.
Exit codes: 0 done, 1 failed, 2 configuration, 3 more rejected than --max-rejected allows, or
violations or damaged files found by check or verify.
"""


def main(argv: list[str] | None = None) -> int:
    """Runs the command line and returns its exit code."""
    words = sys.argv[1:] if argv is None else argv
    if not words or words[0] in ("-h", "--help", "help"):
        print(USAGE, end="", file=sys.stdout if words else sys.stderr)
        return 0 if words else 2
    if words[0] == "--version":
        print(f"beam-mat {beam_mat.__version__}")
        return 0
    try:
        return _command(words[0])(words[1:])
    except ConfigError as error:
        print(f"beam-mat: {len(error.faults)} fault(s) in what was asked for:", file=sys.stderr)
        for fault in error.faults:
            print(f"  {fault}", file=sys.stderr)
        return error.exit_code
    except BeamMatError as error:
        print(f"beam-mat: {error}", file=sys.stderr)
        return error.exit_code
    except SystemExit as error:  # argparse
        return error.code if isinstance(error.code, int) else 2
    except KeyboardInterrupt:
        print("beam-mat: interrupted; nothing was published", file=sys.stderr)
        return 130
    except Exception:  # noqa: BLE001 the last resort: told in full
        traceback.print_exc()
        print("beam-mat: failed; nothing was published", file=sys.stderr)
        return 1


def _command(name: str) -> Callable[[list[str]], int]:
    commands = {
        "convert": _convert,
        "check": _check,
        "verify": _verify,
        "report": _report,
        "publish": _publish,
        "sample": _sample,
    }
    if name not in commands:
        raise ConfigError([f"{name}: no such command; there are {', '.join(commands)}"])
    return commands[name]


def _convert(argv: list[str]) -> int:
    with _importing_beam():
        from beam_mat import convert
    if "-h" in argv or "--help" in argv:
        print(convert.help_text())
        return 0
    convert.convert(argv)
    return 0


def _check(argv: list[str]) -> int:
    with _importing_beam():
        from beam_mat import check
    if "-h" in argv or "--help" in argv:
        print(check.help_text())
        return 0
    return check.check(argv)


@contextlib.contextmanager
def _importing_beam() -> Iterator[None]:
    _quieten()
    # Apache Beam takes a second to import: only the command that needs it waits for it. What is
    # imported stays, so that looking through it for garbage is time lost, now and later.
    gc.disable()
    yield
    gc.freeze()
    gc.enable()


def _quieten() -> None:
    # Workers' errors come back as exceptions, traceback included; Beam's log would repeat them,
    # and warns at import of packages that only other runners need.
    quiet = logging.StreamHandler()
    quiet.setLevel(logging.CRITICAL)
    logging.basicConfig(level=logging.CRITICAL, handlers=[quiet])


def _verify(argv: list[str]) -> int:
    _quieten()
    from beam_mat.verify import verify

    verify(argv)
    return 0


def _report(argv: list[str]) -> int:
    _quieten()
    from beam_mat.report.command import report

    report(argv)
    return 0


def _publish(argv: list[str]) -> int:
    _quieten()
    from beam_mat.finish import publish_left

    publish_left(argv)
    return 0


def _sample(argv: list[str]) -> int:
    from beam_mat.sample import write_sample

    parser = argparse.ArgumentParser(
        prog="beam-mat sample",
        description="Makes a small MAT-shaped set: JSON shards and files.zip.",
    )
    parser.add_argument("folder", metavar="DIR", type=Path, help="a new or empty folder")
    parser.add_argument("--records", type=int, default=40, help="default: %(default)s")
    parser.add_argument("--images", type=int, default=30, help="default: %(default)s")
    parser.add_argument("--shards", type=int, default=1, help="default: %(default)s")
    parser.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    parser.add_argument(
        "--faults", action="store_true", help="also one record or image for every reject reason"
    )
    typed = parser.parse_args(argv)
    try:
        made = write_sample(
            typed.folder,
            records=typed.records,
            images=typed.images,
            shards=typed.shards,
            seed=typed.seed,
            faults=typed.faults,
        )
    except (FileExistsError, ValueError) as error:
        raise ConfigError([str(error)]) from None
    print(f"{made.records} records in {typed.folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
