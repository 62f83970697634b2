"""Reads an entry of dataset_info.json in the same way as LLaMA-Factory's ``parser.py``."""

import posixpath
import re
from collections.abc import Iterable
from typing import Any

import msgspec

from beam_mat.core.contract.finding import Finding, Kind, shown
from beam_mat.core.pattern import is_hidden

FILE_TYPES = {
    "arrow": "arrow",
    "csv": "csv",
    "json": "json",
    "jsonl": "json",
    "parquet": "parquet",
    "txt": "text",
}
"""LLaMA-Factory's ``FILEEXT2TYPE``."""
CHECKED_TYPES = ("json", "parquet")

COLUMNS = (
    *("messages", "system", "tools", "images", "videos", "audios"),
    *("chosen", "rejected", "kto_tag"),
)
ANSWERS = ("chosen", "rejected")
"""The columns of the two answers in a ranking entry."""
TAGS = {
    "role_tag": "from",
    "content_tag": "value",
    "user_tag": "human",
    "assistant_tag": "gpt",
    "observation_tag": "observation",
    "function_tag": "function_call",
    "system_tag": "system",
}
"""All tags with their defaults. LLaMA-Factory uses the defaults only if tags is missing."""

_REMOTE = ("hf_hub_url", "ms_hub_url", "om_hub_url", "script_url", "cloud_file_name")


class Entry(msgspec.Struct, frozen=True):
    """How to read the rows of a dataset: an entry of dataset_info.json.

    `file_name` is relative to the folder of dataset_info.json. `columns` maps `COLUMNS` to the
    columns of the rows, and `tags` maps `TAGS` to the roles or keys in a turn. Rows of a `ranking`
    entry have two answers to compare, and are for the stages ``dpo`` and ``rm``.
    """

    name: str
    file_name: str
    columns: dict[str, str]
    tags: dict[str, str]
    ranking: bool = False

    @property
    def is_kto(self) -> bool:
        """Whether the entry is for the stage ``kto``: its rows have a label."""
        return "kto_tag" in self.columns and not self.ranking


def read_entry(name: str, value: object) -> tuple[Entry | None, list[Finding]] | str:
    """Returns an entry, or None if its rows cannot be read, and its violations.

    If check does not support the entry, which may nevertheless be valid, returns the reason.
    """
    if not isinstance(value, dict):
        return None, [Finding(Kind.ENTRY_INVALID, f"the entry is {shown(value)}")]
    for source in _REMOTE:
        if source in value:
            return f"it uses {source}; download its files and check these"
    for key in ("columns", "tags"):
        if not isinstance(value.get(key, {}), dict):
            return None, [Finding(Kind.ENTRY_INVALID, f"{key} is {shown(value[key])}")]
    formatting = value.get("formatting", "alpaca")
    if formatting == "openai" or (
        formatting == "alpaca" and "messages" not in value.get("columns", {})
    ):
        return f"its formatting is {formatting}; check supports only sharegpt"
    faults = list(_faults(value, formatting))
    file_name = value.get("file_name")
    if not isinstance(file_name, str):
        faults.append(Finding(Kind.FILE_NOT_FOUND, f"file_name is {shown(file_name)}"))
    if any(fault.kind is not Kind.SPLIT_UNKNOWN for fault in faults):
        return None, faults
    columns, tags = value.get("columns", {"messages": "conversations"}), value.get("tags", TAGS)
    ranking = bool(value.get("ranking"))
    read = [name for name in COLUMNS if ranking or name not in ANSWERS]
    entry = Entry(
        name,
        str(file_name),
        {name: str(columns[name]) for name in read if columns.get(name)},
        {name: str(tags[name]) for name in TAGS if tags.get(name)},
        ranking,
    )
    return entry, faults


def _faults(value: dict[str, Any], formatting: object) -> Iterable[Finding]:
    columns, tags = value.get("columns", {}), value.get("tags", {})
    if formatting != "sharegpt":
        yield Finding(Kind.FORMATTING_NOT_SHAREGPT, f"formatting is {shown(formatting)}")
    if "columns" in value and not columns.get("messages"):
        yield Finding(Kind.COLUMN_NOT_LISTED, "columns does not list messages")
    for name in ANSWERS:
        if value.get("ranking") and not columns.get(name):
            yield Finding(Kind.COLUMN_NOT_LISTED, f"columns does not list {name}")
    if "tags" in value:
        for tag in ("role_tag", "content_tag", "user_tag", "assistant_tag"):
            if not tags.get(tag):
                yield Finding(Kind.TAG_NOT_LISTED, f"tags does not list {tag}")
    split = value.get("split", "train")
    if not isinstance(split, str) or not re.match(r"train(\[|\+|$)", split):
        yield Finding(Kind.SPLIT_UNKNOWN, f"split is {shown(split)}")


def file_type(name: str) -> str | None:
    """The type that LLaMA-Factory derives from a file's extension, or None.

    >>> file_type("a.jsonl"), file_type("a.jsonl.gz"), file_type("_SUCCESS"), file_type("A.JSON")
    ('json', None, None, None)
    """
    return FILE_TYPES.get(posixpath.splitext(name)[1][1:])


def check_folder(names: Iterable[tuple[str, bool]]) -> list[Finding]:
    """Checks the contents of a folder. `names` are names and whether each one is a folder."""
    listed = sorted(names)
    if not listed:
        return [Finding(Kind.FOLDER_EMPTY, "the folder is empty")]
    data = [name for name, is_folder in listed if not is_folder and not name.startswith("._")]
    types = {file_type(name) for name in data} - {None}
    wanted = min(types, key=str) if len(types) == 1 else None
    faults = []
    for name, is_folder in listed:
        if is_hidden(name) and (name not in data or file_type(name) is None):
            # LLaMA-Factory takes each one for a data file.
            faults.append(f"{name} is not data but was left by a system such as macOS; remove it")
        elif is_folder:
            faults.append(f"{name} is a folder")
        elif file_type(name) is None:
            faults.append(f"{name} has no known type")
        elif wanted is None:
            faults.append(f"{name} has another type than other files")
    return [Finding(Kind.FOLDER_MIXED, fault) for fault in faults]
