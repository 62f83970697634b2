"""Makes datasets in LLaMA-Factory's format: rows, registries and files."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from tests.build import picture

Row = dict[str, Any]
Value = TypeVar("Value")

COLUMNS = {"messages": "messages", "images": "images", "system": "system"}
TAGS = {
    "role_tag": "role",
    "content_tag": "content",
    "user_tag": "user",
    "assistant_tag": "assistant",
    "observation_tag": "observation",
    "function_tag": "function_call",
    "system_tag": "system",
}
IMAGE = "a.png"
"""An image in every dataset that `write` makes."""


def turns(*contents: object) -> list[Row]:
    """Returns alternating user and assistant turns."""
    roles = ("user", "assistant")
    return [{"role": roles[at % 2], "content": text} for at, text in enumerate(contents)]


def text(**changes: Any) -> Row:
    """Returns a row without an image."""
    return {"messages": turns("Why?", "So."), "images": [], "system": "Be brief.", **changes}


def seen(**changes: Any) -> Row:
    """Returns a row with an image."""
    return text(**{"messages": turns("<image> What?", "That."), "images": [IMAGE], **changes})


def entry(file_name: object = "rows.jsonl", **changes: Any) -> dict[str, Any]:
    """Returns a complete entry of dataset_info.json. A change to ``...`` removes a key."""
    whole = {
        "file_name": file_name,
        "formatting": "sharegpt",
        "columns": COLUMNS,
        "tags": TAGS,
        **changes,
    }
    return {key: value for key, value in whole.items() if value is not ...}


def without(names: Mapping[str, Value], *gone: str) -> dict[str, Value]:
    """Returns columns, tags or a row without some of them."""
    return {key: value for key, value in names.items() if key not in gone}


def lines(*rows: object) -> bytes:
    """Returns JSON Lines."""
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def array(*rows: object) -> bytes:
    """Returns a JSON array."""
    return json.dumps(list(rows), indent=1).encode()


def parquet(
    *rows: Row, schema: pa.Schema | None = None, metadata: Mapping[bytes, bytes] | None = None
) -> bytes:
    """Returns a Parquet file."""
    table = pa.Table.from_pylist(list(rows), schema)
    if metadata:
        table = table.replace_schema_metadata(dict(metadata))
    out = io.BytesIO()
    pq.write_table(table, out, row_group_size=100)
    return out.getvalue()


def inside(**changes: Any) -> Row:
    """Returns a row that contains the image's bytes."""
    return seen(**{"images": [{"bytes": picture(), "path": IMAGE}], **changes})


def write(
    folder: Path, files: Mapping[str, bytes | None], entries: Mapping[str, object] | bytes
) -> Path:
    """Writes a dataset: files by name (None for a folder), and dataset_info.json."""
    for name, data in {IMAGE: picture(), **files}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if data is None:
            path.mkdir()
        else:
            path.write_bytes(data)
    registry = entries if isinstance(entries, bytes) else json.dumps(entries).encode()
    (folder / "dataset_info.json").write_bytes(registry)
    return folder
