"""The arguments of the commands that work on one folder: ``verify``, ``show`` and others."""

from __future__ import annotations

from beam_mat.cli.command_line import CommandLine
from beam_mat.core.credentials import without_credentials
from beam_mat.core.errors import ConfigError
from beam_mat.storage import files, stores


def add_output(line: CommandLine, name: str, what: str) -> CommandLine:
    """Adds the folder and ``--storage-options`` to a command line, and returns it."""
    line.add_argument("output", metavar=name, help=what)
    line.add_argument("--storage-options", metavar="JSON|FILE", help="as for beam-mat convert")
    return line


def output_of(uri: str, storage_options: str | None, *, writes: bool) -> str:
    """Applies storage options as typed, and returns the folder's URI in its usual form.

    Raises:
        ConfigError: The folder or the storage options cannot be used, or the command `writes` to
            the folder and that is not possible.
    """
    faults = []
    try:
        if storage_options:
            stores.use(stores.parse(storage_options))
    except ValueError as error:
        faults.append(f"--storage-options: {error}")
    if fault := stores.fault_of(uri):
        faults.append(f"{without_credentials(uri)}: {fault}")
    if faults:
        raise ConfigError(faults)
    output = files.normalize(uri)
    if writes and files.is_read_only(output):
        raise ConfigError([f"{output}: the hub is read only here; download it and name the copy"])
    return output
