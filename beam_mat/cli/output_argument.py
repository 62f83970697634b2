"""The arguments of the commands that work on one folder: ``verify``, ``show`` and others."""

from __future__ import annotations

import argparse

from beam_mat.cli.command_line import CommandLine
from beam_mat.core.credentials import without_credentials
from beam_mat.core.errors import ConfigError
from beam_mat.storage import files, stores


def add_output(line: CommandLine, name: str, what: str) -> CommandLine:
    """Adds the folder and ``--storage-options`` to a command line, and returns it.

    Args:
        line: The command line.
        name: What the folder is called there, such as OUTPUT.
        what: What it is, for the help.
    """
    line.add_argument("output", metavar=name, help=what)
    line.add_argument("--storage-options", metavar="JSON|FILE", help="as for beam-mat convert")
    return line


def output_of(typed: argparse.Namespace, *, writes: bool) -> str:
    """Applies the storage options that were typed, and returns the folder's URI.

    Args:
        typed: With what `add_output` added.
        writes: Whether the command has to write to the folder.

    Raises:
        ConfigError: The folder or the storage options cannot be used.
    """
    faults = []
    try:
        if typed.storage_options:
            stores.use(stores.parse(typed.storage_options))
    except ValueError as error:
        faults.append(f"--storage-options: {error}")
    if fault := stores.fault_of(typed.output):
        faults.append(f"{without_credentials(typed.output)}: {fault}")
    if faults:
        raise ConfigError(faults)
    output = files.normalize(typed.output)
    if writes and files.is_read_only(output):
        raise ConfigError([f"{output}: the hub is read only here; download it and name the copy"])
    return output
