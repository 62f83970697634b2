"""The ``mat-trainer`` command: subcommands to functions, errors to exit codes."""

from __future__ import annotations

import argparse
import sys
import traceback
from collections.abc import Sequence

import mat_trainer
from mat_trainer.commands import check, plan, presets, run, status, submit
from mat_trainer.core.errors import ConfigError, MatTrainerError, PreflightError

EPILOG = """\
exit codes: 0 done, 1 failed, 2 configuration, 4 preflight, 75 stopped on request with a checkpoint
saved (start it again to go on); `run` passes every other code of training on.
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
    except SystemExit as error:  # argparse has said why
        return error.code if isinstance(error.code, int) else 2
    try:
        return int(args.run(args))
    except (ConfigError, PreflightError) as error:
        is_config = isinstance(error, ConfigError)
        where = "in what was asked for" if is_config else "that training would meet"
        print(f"mat-trainer: {len(error.faults)} fault(s) {where}:", file=sys.stderr)
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
    except Exception:  # noqa: BLE001 the last resort: told in full
        traceback.print_exc()
        return 1


if __name__ == "__main__":
    sys.exit(main())
