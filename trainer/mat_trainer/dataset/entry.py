"""The registry entries that a run uses, and the files that they need. Pure."""

from __future__ import annotations

import msgspec

from mat_trainer.core.errors import ConfigError
from mat_trainer.core.manifest import Manifest, Part

REGISTRY = "dataset_info.json"
JSONL = "jsonl"
PARQUET = "parquet"

_FIELDS = {"file_name", "formatting", "columns", "tags"}
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
        name: Such as ``mat`` or ``mat_parquet_val``.
        format: ``jsonl`` or ``parquet``.
        split: ``train`` or ``val``.
        parts: Its part files.
    """

    name: str
    format: str
    split: str
    parts: tuple[Part, ...]

    @property
    def rows(self) -> int:
        """How many rows the parts have."""
        return sum(part.rows for part in self.parts)

    @property
    def folder(self) -> str:
        """The folder of its parts; LLaMA-Factory reads every file there."""
        return self.parts[0].path.rpartition("/")[0]


def name_of(format: str, split: str) -> str:
    """The entry's name in the registry that beam-mat writes.

    >>> name_of("jsonl", "train"), name_of("parquet", "val")
    ('mat', 'mat_parquet_val')
    """
    return "mat" + (f"_{format}" if format != JSONL else "") + (f"_{split}" * (split != "train"))


def entries(manifest: Manifest) -> dict[str, Entry]:
    """The entries of a dataset, by name."""
    kinds = sorted({(part.format, part.split) for part in manifest.parts})
    found = {}
    for format, split in kinds:
        parts = tuple(p for p in manifest.parts if (p.format, p.split) == (format, split))
        name = name_of(format, split)
        found[name] = Entry(name, format, split, parts)
    return found


def choose(
    manifest: Manifest, dataset: str | None = None, evaluation: str | None = None, *, remote: bool
) -> tuple[Entry, ...]:
    """The entry to train on, then the entry to evaluate on, if there is one.

    Args:
        manifest: The dataset's manifest.
        dataset: The recipe's setting `dataset`; None chooses Parquet for a remote dataset, since
            it needs no folder of images, and JSONL for a local one.
        evaluation: The recipe's setting `eval_dataset`.
        remote: Whether the dataset has to be staged.

    Raises:
        ConfigError: There is no such entry, or nothing to train on.
    """
    known = entries(manifest)
    faults = []
    if dataset is None:
        order = (PARQUET, JSONL) if remote else (JSONL, PARQUET)
        fit = [name for format in order if (name := name_of(format, "train")) in known]
        dataset = fit[0] if fit else None
    if dataset is None:
        faults.append("the dataset has no rows to train on; convert again with more records")
    asked = {"dataset": dataset, "eval_dataset": evaluation}
    names = [name for name in asked.values() if name is not None]
    there = ", ".join(known) or "none"
    faults += [
        f"{setting} {name}: this dataset has no such entry; use one of {there}"
        for setting, name in asked.items()
        if name in names and name not in known
    ]
    if faults:
        raise ConfigError(*faults)
    return tuple(known[name] for name in dict.fromkeys(names))


def files(chosen: tuple[Entry, ...]) -> list[File]:
    """The part files of the entries."""
    return [File(part.path, part.bytes, part.sha256) for entry in chosen for part in entry.parts]


def registry(chosen: tuple[Entry, ...]) -> bytes:
    """A dataset_info.json with these entries, as beam-mat writes it."""
    content = {
        entry.name: {
            "file_name": entry.folder,
            "formatting": "sharegpt",
            "columns": {"messages": "messages", "images": "images", "system": "system"},
            "tags": _TAGS,
        }
        for entry in chosen
    }
    return msgspec.json.format(msgspec.json.encode(content), indent=2) + b"\n"


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
        if alien := sorted(set(found) - _FIELDS):
            faults.append(
                f"{REGISTRY}: {entry.name} has {', '.join(alien)}, which beam-mat never writes; "
                "restore it, or convert again"
            )
    return faults
