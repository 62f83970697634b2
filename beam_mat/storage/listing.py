"""What fsspec's listings say about a file."""

from __future__ import annotations

from typing import Any

from beam_mat.storage.store import FileInfo

_VERSIONS = (
    "generation",  # Google
    "etag",
    "ETag",
    "blob_id",  # Hugging Face's hub
    "mtime",
    "LastModified",
    "last_modified",
    "created",
)


def info_of(fs: Any, entry: dict[str, Any]) -> FileInfo:
    """The file of an entry of a listing."""
    version = next((str(entry[key]) for key in _VERSIONS if entry.get(key)), "")
    return FileInfo(str(fs.unstrip_protocol(str(entry["name"]))), int(entry["size"]), version)


def is_file(entry: dict[str, Any]) -> bool:
    """Whether an entry is a file.

    The consoles of object stores mark a folder with an empty object whose name ends in a slash.
    """
    return entry["type"] == "file" and not entry["name"].endswith("/")


def children(
    fs: Any, folder: str, listed: list[dict[str, Any]]
) -> list[tuple[str, FileInfo | None]]:
    """The entries of a folder by name, without the entry that stands for the folder itself."""
    inside = [entry for entry in listed if _name(entry) and _path(entry) != folder.rstrip("/")]
    return [
        (_name(entry), None if entry["type"] == "directory" else info_of(fs, entry))
        for entry in inside
    ]


def _path(entry: dict[str, Any]) -> str:
    return str(entry["name"]).rstrip("/")


def _name(entry: dict[str, Any]) -> str:
    return _path(entry).rsplit("/", 1)[-1]


def is_glob(path: str) -> bool:
    """Whether a path has a character that a pattern may have."""
    return any(sign in path for sign in "*?[")
