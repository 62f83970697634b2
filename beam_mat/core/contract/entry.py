"""An entry of dataset_info.json, read as LLaMA-Factory's ``parser.py`` reads it."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable
from typing import Any

import msgspec

from beam_mat.core.contract.finding import Finding, Place, shown
from beam_mat.core.contract.kind import Kind

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

COLUMNS = ("messages", "system", "tools", "images", "videos", "audios")
TAGS = {
    "role_tag": "from",
    "content_tag": "value",
    "user_tag": "human",
    "assistant_tag": "gpt",
    "observation_tag": "observation",
    "function_tag": "function_call",
    "system_tag": "system",
}
"""Each with its default, which holds only while tags is not given at all."""

_REMOTE = ("hf_hub_url", "ms_hub_url", "om_hub_url", "script_url", "cloud_file_name")
_ENTRY = Place()


class Entry(msgspec.Struct, frozen=True):
    """How the rows of a dataset are to be read.

    Attributes:
        name: In dataset_info.json.
        file_name: A file or a folder below the folder of dataset_info.json.
        columns: By LLaMA-Factory's name (`COLUMNS`), the column of the rows.
        tags: By LLaMA-Factory's name (`TAGS`), the role or key in a turn.
    """

    name: str
    file_name: str
    columns: dict[str, str]
    tags: dict[str, str]


class Unsupported(msgspec.Struct, frozen=True):
    """Why an entry is nothing that check reads, though it may be fine."""

    why: str


def read_entry(name: str, value: object) -> tuple[Entry | None, list[Finding]] | Unsupported:
    """Reads one entry.

    Returns:
        The entry, or None where the rows could not be read by it, and what is wrong with it.
    """
    if not isinstance(value, dict):
        return None, [_fault(Kind.ENTRY_INVALID, f"the entry is {shown(value)}")]
    for source in _REMOTE:
        if source in value:
            return Unsupported(f"it is read from {source}; copy its files and check those")
    columns, tags = value.get("columns", {}), value.get("tags", {})
    for key, given in (("columns", columns), ("tags", tags)):
        if not isinstance(given, dict):
            return None, [_fault(Kind.ENTRY_INVALID, f"{key} is {shown(given)}")]
    formatting = value.get("formatting", "alpaca")
    if value.get("ranking"):
        return Unsupported("it is a ranking set, which supervised training does not read")
    if formatting == "openai" or (formatting == "alpaca" and "messages" not in columns):
        return Unsupported(f"its formatting is {formatting}; check reads sharegpt")
    faults = list(_faults(value, formatting, columns, tags))
    file_name = value.get("file_name")
    if not isinstance(file_name, str):
        faults.append(_fault(Kind.FILE_NOT_FOUND, f"file_name is {shown(file_name)}"))
    if any(fault.kind is not Kind.SPLIT_UNKNOWN for fault in faults):
        return None, faults
    return Entry(name, str(file_name), _columns(value), _tags(value)), faults


def _faults(
    value: dict[str, Any],
    formatting: object,
    columns: dict[str, Any],
    tags: dict[str, Any],
) -> Iterable[Finding]:
    if formatting != "sharegpt":
        yield _fault(Kind.FORMATTING_NOT_SHAREGPT, f"formatting is {shown(formatting)}")
    if "columns" in value and not columns.get("messages"):
        yield _fault(Kind.COLUMN_NOT_LISTED, "columns lists no messages")
    if "tags" in value:
        for tag in ("role_tag", "content_tag", "user_tag", "assistant_tag"):
            if not tags.get(tag):
                yield _fault(Kind.TAG_NOT_LISTED, f"tags lists no {tag}")
    split = value.get("split", "train")
    if not isinstance(split, str) or not re.match(r"train(\[|\+|$)", split):
        yield _fault(Kind.SPLIT_UNKNOWN, f"split is {shown(split)}")


def _fault(kind: Kind, detail: str) -> Finding:
    return Finding(kind, _ENTRY, detail)


def _columns(value: dict[str, Any]) -> dict[str, str]:
    if "columns" not in value:
        return {"messages": "conversations"}
    given = value["columns"]
    return {name: str(given[name]) for name in COLUMNS if given.get(name)}


def _tags(value: dict[str, Any]) -> dict[str, str]:
    given = value.get("tags", TAGS)
    return {name: str(given[name]) for name in TAGS if given.get(name)}


def file_type(name: str) -> str | None:
    """LLaMA-Factory's type of a file, by the end of its name.

    >>> file_type("a.jsonl"), file_type("a.jsonl.gz"), file_type("_SUCCESS"), file_type("A.JSON")
    ('json', None, None, None)
    """
    return FILE_TYPES.get(posixpath.splitext(name)[1][1:])


def check_folder(names: Iterable[tuple[str, bool]]) -> list[Finding]:
    """Holds the entries of a folder, each a name and whether it is a folder, against the rules."""
    listed = sorted(names)
    if not listed:
        return [_fault(Kind.FOLDER_EMPTY, "the folder is empty")]
    types = {file_type(name) for name, is_folder in listed if not is_folder} - {None}
    wanted = min(types, key=str) if len(types) == 1 else None
    found = []
    for name, is_folder in listed:
        if is_folder:
            found.append(_fault(Kind.FOLDER_MIXED, f"{name} is a folder"))
        elif file_type(name) is None:
            found.append(_fault(Kind.FOLDER_MIXED, f"{name} is of no known type"))
        elif wanted is None:
            found.append(_fault(Kind.FOLDER_MIXED, f"{name} is one of several types"))
    return found
