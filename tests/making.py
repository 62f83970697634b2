"""Makes inputs: records in MAT's format, pictures, shards and zips."""

from __future__ import annotations

import io
import json
import random
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from PIL import Image

Record = dict[str, Any]


def record(
    id: str,
    *,
    image: object = "{}",
    question: str = "Task: How many legs has a spider?",
    answer: str = "Thought: Eight.",
    system: str = "You are an agent.",
) -> Record:
    """Returns a record with one question and one answer."""
    return {
        "id": id,
        "image": image,
        "conversations": [
            {"role": "system", "content": system},
            {"role": "user", "content": question},
            {"role": "assistant", "content": answer},
        ],
    }


def image_record(id: str, path: str, **parts: str) -> Record:
    """Returns a record about one picture."""
    question = parts.pop("question", "Task: What is this?")
    return record(id, image=path, question=f"<image>\n{question}", **parts)


def picture(size: tuple[int, int] = (80, 60), seed: int = 0, format: str = "JPEG") -> bytes:
    """Returns a picture of coarse coloured noise, which is different for each seed."""
    small = Image.frombytes("RGB", (8, 6), random.Random(seed).randbytes(8 * 6 * 3))
    out = io.BytesIO()
    small.resize(size).save(out, format)
    return out.getvalue()


def write_shard(path: Path, records: Iterable[object]) -> Path:
    """Writes a JSON array."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(list(records), indent=1), encoding="utf-8")
    return path


def write_zip(path: Path, members: Mapping[str, bytes]) -> Path:
    """Writes a zip of stored members, in this order."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name, (2024, 12, 10, 0, 0, 0)), data)
    return path


def write_files(folder: Path, members: Mapping[str, bytes]) -> Path:
    """Writes the members of a zip as the files of a folder."""
    for name, data in members.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder
