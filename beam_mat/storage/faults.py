"""Errors that several stores raise, in one wording."""

from __future__ import annotations

from beam_mat.core.errors import OutputError, SourceError


def shrunk(uri: str, start: int, end: int, came: int) -> SourceError:
    """A file is shorter than it was when it was found.

    Args:
        uri: The file.
        start: The first byte that was read.
        end: The end of the range.
        came: How many bytes of the range there were.
    """
    return SourceError(
        f"{uri}: bytes {start} to {end} should be read, but only {came} are there; "
        "the file changed while it was read: run the command again"
    )


def deleted(uri: str) -> SourceError:
    """A file was there when it was found, and does not exist now."""
    return SourceError(
        f"{uri}: was there when the job began and is gone; restore the file and run the command "
        "again"
    )


def linked(link: str) -> OutputError:
    """A folder of an output is a symbolic link, and there may be foreign files behind it."""
    return OutputError(
        f"{link}: is a symbolic link, and nothing is changed behind a link in an output folder; "
        "replace it with a folder, or choose another output folder"
    )
