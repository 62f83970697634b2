"""Shards, mixes, images and commits made by hand, as a conversion or a watch makes them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
import pyarrow as pa

from beam_mat.core import layout
from beam_mat.core.mix import mixed
from beam_mat.core.reject import Reason, Reject
from beam_mat.core.results import MixJob, MixOutput, Part, RejectCount, ShardSummary, Source, Unit
from beam_mat.core.statistics import Statistics
from beam_mat.core.trajectory import Schema
from beam_mat.dataset import flat, image_table, log
from beam_mat.dataset.commit import CONVERT, Commit, Content, Made, Snapshot, counts_of
from beam_mat.storage import files
from beam_mat.work.images import TABLE_SCHEMA
from beam_mat.work.mix import plan_mixes


def part(path: str, rows: int = 1, image_rows: int = 0, **changes: Any) -> Part:
    made = Part(path, "jsonl", "train", rows, image_rows, 10, path)
    return msgspec.structs.replace(made, **changes)


def shard(
    name: str,
    version: str = "1",
    images: int = 1,
    texts: int = 0,
    rejected: int = 0,
    **changes: Any,
) -> ShardSummary:
    """A shard of one chunk with so many rows; text-only rows alone are set aside."""
    stem = f"{name}-{version}"
    rows = images + texts
    unit = Unit(f"{stem}-0", "train", images, rows)
    aside = "" if images else f"{layout.TEXT_ONLY}/"
    data = part(f"{aside}jsonl/train-{unit.name}.jsonl", rows, images)
    reject = Reject(Reason.NOT_AN_OBJECT, "", f"/in/{name}.json", 0, 0, 1, "", "")
    why = (RejectCount(Reason.NOT_AN_OBJECT, rejected, reject),) if rejected else ()
    made = ShardSummary(
        uri=f"/in/{name}.json",
        order=0,
        size=10,
        version=version,
        limit=None,
        prefix="",
        read_as=None,
        stem=stem,
        schema=Schema.MAT,
        why="",
        records=rows + rejected,
        accepted=rows,
        respelled=0,
        image_uses=images,
        rejected=why,
        units=(unit,) if rows else (),
        parts=(data,) if rows else (),
        rejects=(part(f"rejects/{stem}-0.jsonl", rejected, split="rejects"),) if rejected else (),
        missing=(),
        tables=(),
        statistics=Statistics(),
    )
    return msgspec.structs.replace(made, **changes)


def source(name: str, version: str = "1", order: int = 0) -> Source:
    return Source(f"/in/{name}.zip", order, 100, version)


def mix_of(job: MixJob) -> MixOutput:
    """What `work.mix.mix` writes for a job."""
    inputs = tuple(
        f"{'' if unit.image_rows else f'{layout.TEXT_ONLY}/'}jsonl/train-{unit.name}.jsonl"
        for unit in job.inputs()
    )
    parts = tuple(
        part(f"jsonl/train-{one.name}.jsonl", one.rows, one.image_rows) for one, _ in mixed(job)
    )
    return MixOutput(job, inputs, parts)


def table_of(pictures: Mapping[str, str | None]) -> pa.Table:
    """Rows of a table of images: the file of each path, or None for an image that is missing."""
    rows = [
        {
            "path": path,
            "file": file,
            "status": "kept" if file else Reason.IMAGE_MISSING.value,
            "source_bytes": 3 if file else None,
            "bytes": 2 if file else None,
            "sha256": file,
        }
        for path, file in sorted(pictures.items())
    ]
    return pa.Table.from_pylist(rows, TABLE_SCHEMA)


def content(
    shards: Iterable[ShardSummary],
    images: Iterable[Part] = (),
    sources: Iterable[Source] = (),
    mixes: Iterable[MixOutput] | None = None,
) -> Content:
    """What a dataset holds; text-only rows are mixed as a conversion mixes them."""
    shards = list(shards)
    if mixes is None:
        mixes = map(mix_of, plan_mixes(shards)[1])
    return Content(
        {one.uri: one for one in shards},
        {one.uri: one for one in sources},
        {one.job.name: one for one in mixes},
        tuple(images),
        counts_of(shards, image_table.totals(table_of({}))),
    )


def how(fingerprint: str = "f", command: str = CONVERT, keep: int | None = None) -> Made:
    return Made(command, fingerprint, {"beam-mat": "1"}, {"limit": None}, keep)


def commits_of(contents: Iterable[Content], keep: int | None = None) -> list[Commit]:
    """A commit for each content, each on the one before."""
    found = Snapshot()
    commits = []
    for number, one in enumerate(contents, 1):
        commit = found.next(how(f"f{number}", keep=keep), one)
        found.apply(commit)
        commits.append(commit)
    return commits


def put(output: str, path: str, data: bytes = b"x") -> str:
    """Writes a file below the output folder and returns its path."""
    files.write_bytes(files.join(output, path), data, files.join(output, layout.SCRATCH))
    return path


def there(output: str, *folders: str) -> set[str]:
    """Paths of the files below some folders of the output folder, or below all."""
    if not folders:
        return {name for name, _ in files.find(output)}
    return {
        f"{folder}/{name}"
        for folder in folders
        for name, _ in files.find(files.join(output, folder))
    }


def line(images: Iterable[str] = ()) -> bytes:
    """A row of a JSONL part that names image files."""
    return msgspec.json.encode({"images": list(images)}) + b"\n"


def commit(
    output: str,
    wanted: Content,
    *,
    command: str = CONVERT,
    keep: int | None = None,
    rows: Mapping[str, bytes] | None = None,
) -> Commit:
    """Commits a content, and writes the files that are new in it.

    Args:
        output: The output folder.
        wanted: The content. Its tables of images have been written.
        command: Which command commits it.
        keep: How many generations stay.
        rows: What data files hold, by path; else one row without images.
    """
    found = log.snapshot(output)
    made = found.next(how(command, command, keep), wanted)
    for one in (*made.parts.added, *made.rejects.added):
        put(output, one.path, (rows or {}).get(one.path, line()))
    assert log.write(output, made)
    found.apply(made)
    assert flat.arrange(output, found, keep=True) == []
    return made


def images(output: str, pictures: Mapping[str, str | None]) -> Part:
    """Writes image files and a table that has them."""
    for file in pictures.values():
        if file:
            put(output, file)
    return image_table.write_rows(output, table_of(pictures))
