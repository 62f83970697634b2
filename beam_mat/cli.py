"""The ``beam-mat`` command: one small function a subcommand, errors to exit codes."""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import sys
import traceback
from collections.abc import Callable, Iterator

import beam_mat
from beam_mat.command_line import no_such_command
from beam_mat.core.errors import BeamMatError, ConfigError, NothingAskedError

USAGE = """\
usage: beam-mat COMMAND ...

  convert     make a LLaMA-Factory dataset out of MAT shards and image zips
  watch       keep such a dataset current while shards and zips arrive
  check       find what LLaMA-Factory would stumble over in a dataset
  show        print a trajectory, or a rejected record, so that one can read it
  verify      hold every file of a dataset against its manifest
  report      make the report of a dataset anew
  publish     publish a job that is done and that its driver has left
  sample      make a small MAT-shaped set to try things out
  doctor      tell what is installed and what works here
  completion  print what makes a shell complete these commands

To begin: beam-mat sample demo, then
  beam-mat convert --json demo/mat_train.json --images demo/files.zip --output dataset

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
    except NothingAskedError as error:
        print(error, file=sys.stderr)
        return error.exit_code
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
        print(f"beam-mat: interrupted{_unpublished(words[0])}", file=sys.stderr)
        return 130
    except Exception:  # noqa: BLE001 the last resort: told in full
        traceback.print_exc()
        print(
            f"beam-mat: failed{_unpublished(words[0])}; run the same command again, and please "
            "report what stands above if that does not help",
            file=sys.stderr,
        )
        return 1


def _unpublished(command: str) -> str:
    return "; nothing was published" if command in ("convert", "publish") else ""


def _command(name: str) -> Callable[[list[str]], int]:
    commands = {
        "convert": _convert,
        "watch": _watch,
        "check": _check,
        "show": _show,
        "verify": _verify,
        "report": _report,
        "publish": _publish,
        "sample": _sample,
        "doctor": _doctor,
        "completion": _completion,
    }
    if name not in commands:
        raise ConfigError([no_such_command(name, list(commands))])
    return commands[name]


def _convert(argv: list[str]) -> int:
    with _importing_beam():
        from beam_mat import convert
    if "-h" in argv or "--help" in argv:
        _tell(convert.help_text())
        return 0
    convert.convert(argv)
    return 0


def _watch(argv: list[str]) -> int:
    with _importing_beam():
        from beam_mat.watch import command
    if "-h" in argv or "--help" in argv:
        _tell(command.help_text())
        return 0
    command.watch(argv)
    return 0


def _check(argv: list[str]) -> int:
    with _importing_beam():
        from beam_mat import check
    if "-h" in argv or "--help" in argv:
        _tell(check.help_text())
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
    from beam_mat.sample.command import sample

    made, folder = sample(argv)
    print(f"{made.records} records in {folder}")
    return 0


def _show(argv: list[str]) -> int:
    with _importing_beam():
        from beam_mat.show import show

    show(argv)
    return 0


def _doctor(argv: list[str]) -> int:
    _quieten()
    from beam_mat.doctor import doctor

    return doctor(argv)


def _completion(argv: list[str]) -> int:
    _quieten()
    from beam_mat.completion import script

    _tell(script(argv))
    return 0


def _tell(text: str) -> None:
    try:
        print(text, flush=True)
    except BrokenPipeError:  # whoever reads, such as head, has what it wanted
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    sys.exit(main())
