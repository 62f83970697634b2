"""The ``mat-trainer`` command: subcommands to functions, errors to exit codes."""

from __future__ import annotations

import argparse
import sys
import traceback
from collections.abc import Sequence

import mat_trainer
from mat_trainer.commands import check, plan, presets, run, status, submit
from mat_trainer.core.errors import ConfigError, MatTrainerError, PreflightError
from mat_trainer.launch.room import FULL

EPILOG = """\
exit codes: 0 done, 1 failed, 2 configuration error, 4 training would fail, 75 stopped on request
with a checkpoint saved (the same command resumes). `run` returns any other exit code of training.
"""


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    root = argparse.ArgumentParser(
        prog="mat-trainer",
        description="Launches LLaMA-Factory on the datasets that beam-mat writes.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    root.add_argument(
        "--version", action="version", version=f"mat-trainer {mat_trainer.__version__}"
    )
    subparsers = root.add_subparsers(metavar="COMMAND", required=True)
    for command in (presets, plan, check, run, submit, status):
        command.add_parser(subparsers)
    return root


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line and returns its exit code."""
    try:
        args = parser().parse_args(argv)
    except SystemExit as error:  # argparse has printed why
        return error.code if isinstance(error.code, int) else 2
    try:
        return int(args.run(args))
    except (ConfigError, PreflightError) as error:
        what = "configuration error" if isinstance(error, ConfigError) else "preflight error"
        count = len(error.faults)
        print(f"mat-trainer: {count} {what}{'s' * (count != 1)}:", file=sys.stderr)
        for fault in error.faults:
            print(f"  {fault}", file=sys.stderr)
        return error.exit_code
    except MatTrainerError as error:
        print(f"mat-trainer: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("mat-trainer: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # `mat-trainer plan … | head`
        sys.stderr.close()
        return 0
    except OSError as error:
        if error.errno not in FULL:
            traceback.print_exc()
            return 1
        where = error.filename or "a file"
        print(
            f"mat-trainer: {where}: {error.strerror}; free some space on its disk, and start again",
            file=sys.stderr,
        )
        return 1
    except Exception:  # noqa: BLE001 the last resort: the whole traceback
        traceback.print_exc()
        return 1


if __name__ == "__main__":
    sys.exit(main())
