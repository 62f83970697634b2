"""The command line of what works on an output folder alone: ``verify``, ``publish``, ``show``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from beam_mat.command_line import CommandLine
from beam_mat.core.errors import ConfigError
from beam_mat.core.secrecy import without_credentials
from beam_mat.storage import files, stores


def add_output(line: CommandLine, name: str, what: str) -> CommandLine:
    """Adds the folder and ``--storage-options`` to a command line, and returns it.

    Args:
        line: The command line.
        name: What the folder is called there, such as OUTPUT.
        what: What it is, for the help.
    """
    line.add_argument("output", metavar=name, help=what)
    line.add_argument(
        "--storage-options",
        dest="storage_options",
        metavar="JSON|FILE",
        help="as for beam-mat convert",
    )
    return line


def output_of(line: CommandLine, argv: Sequence[str], *, writes: bool) -> str:
    """Reads the words, takes the storage options into use and returns the folder's uri.

    Args:
        line: What `add_output` made.
        argv: What follows the command.
        writes: Whether the command is of no use where it cannot write to the folder.

    Raises:
        BeamMatError: The words, the folder or the storage options cannot be.
    """
    output = folder_of(line.read(argv))
    if writes and files.is_read_only(output):
        raise ConfigError([f"{output}: the hub is read only here; download it and name the copy"])
    return output


def folder_of(typed: argparse.Namespace) -> str:
    """Takes the storage options that were typed into use and returns the folder's uri.

    Raises:
        ConfigError: The folder or the storage options cannot be.
    """
    try:
        if typed.storage_options:
            stores.use(stores.parse(typed.storage_options))
    except ValueError as error:
        raise ConfigError([f"--storage-options: {error}"]) from None
    if fault := stores.fault_of(typed.output):
        raise ConfigError([f"{without_credentials(typed.output)}: {fault}"])
    return files.normalize(typed.output)
