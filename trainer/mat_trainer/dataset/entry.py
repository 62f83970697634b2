"""The registry entries that a run uses, and the files that they need. Pure."""

from __future__ import annotations

from typing import Any

import msgspec

from mat_trainer.core import subset as subsets
from mat_trainer.core.manifest import Manifest, Part

REGISTRY = "dataset_info.json"

_TAGS = {
    "role_tag": "role",
    "content_tag": "content",
    "user_tag": "user",
    "assistant_tag": "assistant",
    "observation_tag": "observation",
    "function_tag": "function_call",
    "system_tag": "system",
}


class File(msgspec.Struct, frozen=True):
    """A file of a dataset, with its path below the dataset's folder, size and SHA-256."""

    path: str
    bytes: int
    sha256: str


class Entry(msgspec.Struct, frozen=True):
    """An entry of dataset_info.json.

    Attributes:
        name: Such as ``mat`` or ``mat_tools_parquet_val``.
        format: ``jsonl`` or ``parquet``.
        split: ``train`` or ``val``.
        parts: Its part files.
        subset: The kind of its rows, see `mat_trainer.core.subset`.
    """

    name: str
    format: str
    split: str
    parts: tuple[Part, ...]
    subset: str = ""

    @property
    def rows(self) -> int:
        """How many rows the parts have."""
        return sum(part.rows for part in self.parts)

    @property
    def has_images(self) -> bool:
        """Whether any row has images."""
        return any(part.image_rows for part in self.parts)

    @property
    def folder(self) -> str:
        """The folder of its parts; LLaMA-Factory reads every file there."""
        return self.parts[0].path.rpartition("/")[0]

    def fits(self, stage: str) -> bool:
        """Whether LLaMA-Factory trains on its rows in a stage."""
        return stage in subsets.stages(self.subset)


def entries(manifest: Manifest) -> dict[str, Entry]:
    """The entries of a dataset, by name."""
    groups: dict[tuple[str, str, str], list[Part]] = {}
    for part in manifest.parts:
        groups.setdefault((part.subset, part.format, part.split), []).append(part)
    there = {subset for subset, _, _ in groups}
    found = {}
    for (subset, format, split), parts in sorted(groups.items()):
        name = subsets.entry_name(manifest.name, format, subset, split, there)
        found[name] = Entry(name, format, split, tuple(parts), subset)
    return found


def files(chosen: tuple[Entry, ...]) -> list[File]:
    """The part files of the entries."""
    return [File(part.path, part.bytes, part.sha256) for entry in chosen for part in entry.parts]


def registry(chosen: tuple[Entry, ...]) -> bytes:
    """A dataset_info.json with these entries, as beam-mat writes it."""
    content = {entry.name: _registered(entry) for entry in chosen}
    return msgspec.json.format(msgspec.json.encode(content), indent=2) + b"\n"


def _registered(entry: Entry) -> dict[str, Any]:
    ranking = {"ranking": True} if subsets.is_ranking(entry.subset) else {}
    return {
        "file_name": entry.folder,
        "formatting": "sharegpt",
        **ranking,
        "columns": {column: column for column in subsets.columns(entry.subset)},
        "tags": _TAGS,
    }


def registry_faults(data: bytes, chosen: tuple[Entry, ...]) -> list[str]:
    """The faults of a dataset_info.json, which no hash protects.

    LLaMA-Factory would run a script, or read other files, that an entry names.
    """
    try:
        registry = msgspec.json.decode(data, type=dict[str, dict[str, object]])
    except msgspec.DecodeError as error:
        return [f"{REGISTRY}: {error}; restore it, or convert again"]
    faults = []
    for entry in chosen:
        found = registry.get(entry.name)
        if found is None:
            faults.append(
                f"{REGISTRY} has no entry {entry.name}; restore the file, or convert again"
            )
            continue
        place = found.get("file_name")
        if place != entry.folder:
            faults.append(
                f"{REGISTRY}: {entry.name} reads {place!r}, its parts are in {entry.folder!r}; "
                "restore it, or convert again"
            )
        right = _registered(entry)
        faults += [
            f"{REGISTRY}: {key} of {entry.name} is {found.get(key)!r}, but its rows need "
            f"{right.get(key)!r}; restore it, or convert again"
            for key in ("ranking", "columns", "tags")
            if found.get(key, False) != right.get(key, False)
        ]
        if alien := sorted(set(found) - set(right) - {"ranking"}):
            faults.append(
                f"{REGISTRY}: {entry.name} has {', '.join(alien)}, which beam-mat never writes; "
                "restore it, or convert again"
            )
    return faults
