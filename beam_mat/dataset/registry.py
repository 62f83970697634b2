"""dataset_info.json: the entries with which LLaMA-Factory finds the folders of a dataset."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from beam_mat.core import layout
from beam_mat.core.results import Part
from beam_mat.core.settings import JSONL

_TAGS = {
    "role_tag": "role",
    "content_tag": "content",
    "user_tag": "user",
    "assistant_tag": "assistant",
    "observation_tag": "observation",
    "function_tag": "function_call",
    "system_tag": "system",
}


def dataset_info(parts: Iterable[Part]) -> dict[str, Any]:
    """Returns LLaMA-Factory's entries: `mat` for JSONL, `mat_parquet`, and each with `_val`.

    If an entry has some columns or tags, LLaMA-Factory ignores its defaults for the others. So all
    are given.
    """
    entries = {}
    for format, split in sorted({(part.format, part.split) for part in parts}):
        name = "mat" + ("" if format == JSONL else f"_{format}")
        name += "" if split == layout.TRAIN else f"_{split}"
        entries[name] = {
            "file_name": layout.part_folder(format, split),
            "formatting": "sharegpt",
            "columns": {"messages": "messages", "images": "images", "system": "system"},
            "tags": _TAGS,
        }
    return entries
