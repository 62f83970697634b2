"""The ``beam-mat`` command: finds the command that was typed, and turns errors into exit codes."""

from __future__ import annotations

import sys
import traceback

import beam_mat
from beam_mat.cli.commands import COMMANDS
from beam_mat.cli.faults import no_such_command
from beam_mat.cli.loading import quieten
from beam_mat.cli.printing import print_text
from beam_mat.core.errors import BeamMatError, ConfigError, NothingAskedError
from beam_mat.runners.causes import cause_of

_USAGE = """\
usage: beam-mat COMMAND ...

{commands}

To begin: beam-mat sample demo, then
  beam-mat convert --json demo/mat_train.json --images demo/files.zip --output dataset

beam-mat COMMAND --help describes a command; beam-mat --version prints the version.
Exit codes: 0 done, 1 failed, 2 configuration, 3 more rejected than --max-rejected allows, or
violations or damaged files found by check or verify.
"""


def usage() -> str:
    """The help of ``beam-mat`` itself."""
    width = max(map(len, COMMANDS))
    lines = [f"  {command.name:<{width}}  {command.help}" for command in COMMANDS.values()]
    return _USAGE.format(commands="\n".join(lines))


def main(argv: list[str] | None = None) -> int:
    """Runs the command line and returns its exit code."""
    words = sys.argv[1:] if argv is None else argv
    if not words or words[0] in ("-h", "--help", "help"):
        print(usage(), end="", file=sys.stdout if words else sys.stderr)
        return 0 if words else 2
    if words[0] == "--version":
        print(f"beam-mat {beam_mat.__version__}")
        return 0
    try:
        return _run(words[0], words[1:])
    except NothingAskedError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    except ConfigError as error:
        count = len(error.faults)
        errors = "error" if count == 1 else "errors"
        print(f"beam-mat: {count} configuration {errors}:", file=sys.stderr)
        for fault in error.faults:
            print(f"  {fault}", file=sys.stderr)
        return error.exit_code
    except BeamMatError as error:
        print(f"beam-mat: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print(f"beam-mat: interrupted{_unpublished(words[0])}", file=sys.stderr)
        return 130
    except Exception as error:  # noqa: BLE001  # the last resort
        return _failed(error, words[0])


def _run(name: str, argv: list[str]) -> int:
    if name not in COMMANDS:
        raise ConfigError([no_such_command(name, list(COMMANDS))])
    module = COMMANDS[name].load()
    if "-h" in argv or "--help" in argv:
        print_text(module.command_line().format_help().rstrip())
        return 0
    quieten()
    return module.run(argv)


def _failed(error: Exception, command: str) -> int:
    if cause := cause_of(error):
        print(f"beam-mat: {cause}", file=sys.stderr)
        return cause.exit_code
    traceback.print_exc()
    print(
        f"beam-mat: failed{_unpublished(command)}; run the same command again, and please report "
        "what is printed above if that does not help",
        file=sys.stderr,
    )
    return 1


def _unpublished(command: str) -> str:
    return "; nothing was published" if command in ("convert", "publish") else ""


if __name__ == "__main__":
    sys.exit(main())
