"""Builders for tests: records, shards, pictures and zips."""

from __future__ import annotations

import io
import json
import os
import random
import struct
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from beam_mat.core.chunk import Chunk, Shard
from beam_mat.core.scan import Layout

PREFIXES = (("data/open_llava_next/", "tongagent/"),)
"""The default of ``--rewrite``."""

SHARED = Path(os.environ.get("BEAM_MAT_SHARED", Path(__file__).parents[2] / "shared"))
needs_mat_sample = pytest.mark.skipif(
    not (SHARED / "mat-sample").is_dir(),
    reason="needs real MAT records: set BEAM_MAT_SHARED to a folder that has mat-sample",
)
needs_photos = pytest.mark.skipif(
    not (SHARED / "photos").is_dir(),
    reason="needs photographs: set BEAM_MAT_SHARED to a folder that has photos",
)


def turn(role: object, content: object) -> dict[str, object]:
    return {"role": role, "content": content}


def dialogue(*contents: str) -> list[dict[str, object]]:
    """Returns alternating user and assistant turns."""
    return [turn(("user", "assistant")[at % 2], text) for at, text in enumerate(contents)]


def record(*contents: str, **fields: object) -> dict[str, Any]:
    """Returns a record in MAT's format with these turns and fields."""
    turns = [turn("system", "You are an agent."), *dialogue(*(contents or ("Why?", "So.")))]
    return {"id": "i1", "image": "{}", "conversations": turns, **fields}


def encode(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


def shard(size: int = 1000, **changes: Any) -> Shard:
    return Shard(**{"uri": "/data/mat.json", "order": 0, "size": size, "version": "1", **changes})


def chunk(**changes: Any) -> Chunk:
    fields = {
        "name": "mat-0",
        "shard": shard(),
        "layout": Layout.ARRAY,
        "start": 1,
        "end": 999,
        "first": 0,
        "count": 1,
    }
    return Chunk(**{**fields, **changes})


def blocks(data: bytes, sizes: Iterable[int]) -> Iterator[bytes]:
    """Yields `data` in blocks of these sizes, and the rest in one block."""
    at = 0
    for size in sizes:
        yield data[at : at + size]
        at += size
    yield data[at:]


def picture(
    size: tuple[int, int] = (48, 40), mode: str = "RGB", format: str = "PNG", **options: Any
) -> bytes:
    """Returns an image file with coarse noise."""
    return save(canvas(size, mode), format, **options)


def canvas(size: tuple[int, int], mode: str = "RGB") -> Image.Image:
    noise = random.Random(f"{size} {mode}").randbytes(12 * 9 * 4)
    coarse = Image.frombytes("RGBA", (12, 9), noise).resize(size, Image.Resampling.BICUBIC)
    if mode == "I;16":
        return coarse.convert("L").convert("I").point(lambda value: value * 256).convert("I;16")
    if mode == "PA":
        return coarse.convert("RGB").convert("P").convert("PA")
    if mode in ("P", "CMYK", "1", "YCbCr"):
        return coarse.convert("RGB").convert(mode)
    return coarse.convert(mode)


def save(image: Image.Image, format: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def opened(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def zip_of(
    entries: Mapping[str, bytes] | Iterable[tuple[str | zipfile.ZipInfo, bytes]],
    method: int = zipfile.ZIP_DEFLATED,
    comment: bytes = b"",
) -> bytes:
    buffer = io.BytesIO()
    pairs = entries.items() if isinstance(entries, Mapping) else entries
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, data in pairs:
            archive.writestr(name, data, method)
        archive.comment = comment
    return buffer.getvalue()


_CENTRAL = struct.Struct("<4s6H3L5H2L")
_FIELDS = (
    "signature made needed flags method time date crc packed size "
    "name extra comment disk inner outer offset"
).split()


def with_entry(data: bytes, number: int, **changes: int) -> bytes:
    """Returns a zip with changed values in directory entry `number`: crc, packed, size, …"""
    at = data.find(b"PK\1\2")
    for _ in range(number):
        at = data.find(b"PK\1\2", at + 1)
    values = dict(zip(_FIELDS, _CENTRAL.unpack_from(data, at), strict=True))
    changed = _CENTRAL.pack(*{**values, **changes}.values())
    return data[:at] + changed + data[at + _CENTRAL.size :]


def zip64_end(data: bytes) -> bytes:
    """Returns the zip with its end in ZIP64 records, like an archive over 4 GiB."""
    end = data.rfind(b"PK\5\6")
    entries, size, offset = struct.unpack_from("<H2L", data, end + 10)
    record64 = struct.pack(
        "<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, entries, entries, size, offset
    )
    locator = struct.pack("<4sLQL", b"PK\6\7", 0, end, 1)
    last = struct.pack("<4s4H2LH", b"PK\5\6", *[0xFFFF] * 4, *[0xFFFFFFFF] * 2, 0)
    return data[:end] + record64 + locator + last
