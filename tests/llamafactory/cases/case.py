"""A dataset that is shown to check and to LLaMA-Factory, and what both are to make of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from beam_mat.core.contract.finding import Kind
from tests.rows import (
    COLUMNS,
    entry,
    inside,
    parquet,
    text,
    turns,
)


@dataclass(frozen=True)
class Case:
    """A dataset.

    Attributes:
        name: What is special about it.
        files: By name below the folder; None makes a folder.
        kinds: What check is to find, no more and no less.
        entry: Of dataset_info.json, or the whole file's bytes.
        kept: Rows that LLaMA-Factory is to keep, or None where it is to fail.
        says: A part of the error with which it fails.
        more: What training is told: workers, order, cutoff_len, step.
    """

    name: str
    files: Mapping[str, bytes | None]
    kinds: frozenset[Kind] = frozenset()
    entry: Any = field(default_factory=entry)
    kept: int | None = None
    says: str = ""
    more: Mapping[str, Any] = field(default_factory=dict)


def fails(name: str, kind: Kind, files: Any, says: str, **more: Any) -> Case:
    """A dataset with a fault that stops the job. `more` as in `Case`, options of training too."""
    return _case(name, {kind}, files, None, says, more)


def drops(name: str, kinds: Kind | set[Kind], files: Any, kept: int, **more: Any) -> Case:
    """A dataset that loses rows, or is degraded."""
    return _case(name, {kinds} if isinstance(kinds, Kind) else kinds, files, kept, "", more)


def sound(name: str, files: Any, kept: int, **more: Any) -> Case:
    """A dataset without a fault."""
    return _case(name, set(), files, kept, "", more)


def _case(
    name: str, kinds: set[Kind], files: Any, kept: int | None, says: str, more: dict[str, Any]
) -> Case:
    told = files if isinstance(files, dict) else {"rows.jsonl": files}
    of = more.pop("entry", None) or entry(next(iter(told)).split("/")[0])
    return Case(name, told, frozenset(kinds), of, kept, says, more)


def two(first: bytes, second: bytes, end: str = "jsonl") -> dict[str, bytes]:
    """A folder of two files."""
    return {f"d/a.{end}": first, f"d/b.{end}": second}


def call(content: str) -> list[dict[str, Any]]:
    """The turns of a row that calls a function."""
    return [
        {"role": "user", "content": "Add."},
        {"role": "function_call", "content": content},
        {"role": "observation", "content": "3"},
        {"role": "assistant", "content": "Three."},
    ]


GOOD_CALL = json.dumps({"name": "add", "arguments": {"a": 1}})
ODD = text(messages=turns("And?"))
TOOLS = {**COLUMNS, "tools": "tools"}
GENERATING = "DatasetGenerationError"
TEXTS = [text()] * 1000

IMAGE_FEATURE = {
    b"huggingface": json.dumps(
        {
            "info": {
                "features": {
                    "messages": {
                        "feature": {
                            "role": {"dtype": "string", "_type": "Value"},
                            "content": {"dtype": "string", "_type": "Value"},
                        },
                        "_type": "List",
                    },
                    "images": {"feature": {"_type": "Image"}, "_type": "List"},
                    "system": {"dtype": "string", "_type": "Value"},
                }
            }
        }
    ).encode()
}

TEXTS_FIRST_IN_B = two(
    parquet(*[inside()] * 2),
    parquet(
        *[inside(messages=turns("a", "b"), images=[])] * 1000,
        inside(),
        schema=pa.Table.from_pylist([inside()]).schema,
    ),
    "parquet",
)
