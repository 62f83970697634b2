"""The command line of what works on an output folder alone: ``verify`` and ``publish``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from beam_mat.core.errors import ConfigError
from beam_mat.core.secrecy import without_credentials
from beam_mat.storage import files, stores


def output_of(argv: Sequence[str], command: str, description: str, what: str) -> str:
    """Reads the words, takes the storage options into use and returns the folder's uri.

    Args:
        argv: What follows the command.
        command: Its name.
        description: What it does, for its help.
        what: What OUTPUT names, for its help.

    Raises:
        ConfigError: The folder or the storage options cannot be.
    """
    parser = argparse.ArgumentParser(prog=f"beam-mat {command}", description=description)
    parser.add_argument("output", metavar="OUTPUT", help=what)
    parser.add_argument(
        "--storage-options",
        dest="storage_options",
        metavar="JSON|FILE",
        help="as for beam-mat convert",
    )
    typed = parser.parse_args(list(argv))
    try:
        if typed.storage_options:
            stores.use(stores.parse(typed.storage_options))
    except ValueError as error:
        raise ConfigError([f"--storage-options: {error}"]) from None
    if fault := stores.fault_of(typed.output):
        raise ConfigError([f"{without_credentials(typed.output)}: {fault}"])
    return files.normalize(typed.output)
