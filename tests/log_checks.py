"""Whether every generation of a dataset can still be read whole."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator

from beam_mat.core import layout
from beam_mat.core.results import Part
from beam_mat.core.settings import JSONL
from beam_mat.dataset import image_table, log
from beam_mat.dataset.commit import Snapshot
from beam_mat.dataset.flat import RowImages, read_rows
from beam_mat.storage import files


def where(output: str, part: Part) -> str:
    """URI of a part: in its flat folder or below replaced/."""
    uri = files.join(output, part.path)
    return uri if files.exists(uri) else files.join(output, layout.REPLACED, part.path)


def rows(output: str, number: int | None = None) -> Counter[bytes]:
    """JSONL rows and rejected records of a generation, each with how often it is there."""
    found = log.snapshot(output, number)
    lines = Counter[bytes]()
    for part in (*found.parts(), *found.rejects()):
        if part.format == JSONL:
            lines.update(files.read_bytes(where(output, part)).splitlines())
    return lines


def kept(output: str) -> list[int]:
    """Numbers of the generations that the log has."""
    found = log.numbers(output)
    return sorted({*found.commits, *found.checkpoints})


def faults(output: str) -> list[str]:
    """What is missing or is not as it was committed, over all generations."""
    hashes: dict[str, str | None] = {}
    return [
        f"generation {number}: {fault}"
        for number in kept(output)
        for fault in _faults(output, log.snapshot(output, number), hashes)
    ]


def _faults(output: str, found: Snapshot, hashes: dict[str, str | None]) -> Iterator[str]:
    named: set[str] = set()
    for part in (*found.parts(), *found.rejects(), *found.images):
        uri = where(output, part)
        sha256 = _sha256(uri, hashes)
        if sha256 != part.sha256:
            yield f"{part.path}: has SHA-256 {sha256}, not {part.sha256}"
        elif part.split in (layout.TRAIN, layout.VAL):
            rows = read_rows(output, part, RowImages)
            named.update(path for row in rows for path in row.images)
    listed = image_table.read(output, found.images).select(["file", "sha256"]).to_pylist()
    named.update(row["file"] for row in listed if row["file"])
    for file in sorted(named):
        sha256 = _sha256(files.join(output, file), hashes)
        if sha256 is None or f".{sha256[:16]}." not in file:
            yield f"{file}: has SHA-256 {sha256}"


def _sha256(uri: str, known: dict[str, str | None]) -> str | None:
    if uri not in known:
        try:
            known[uri] = hashlib.sha256(files.read_bytes(uri)).hexdigest()
        except FileNotFoundError:
            known[uri] = None
    return known[uri]
