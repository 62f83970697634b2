"""Part files on any store: the same rows in both formats, and every row again after mixing."""

from __future__ import annotations

import hashlib
import io
import json
import random
from collections import Counter
from collections.abc import Callable
from itertools import groupby
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as trying
from hypothesis import strategies as st

from beam_mat.core import layout
from beam_mat.core.layout import image_file
from beam_mat.core.mix import interleave, plan
from beam_mat.core.reject import Reason, Reject
from beam_mat.core.results import MixJob, Part, Unit
from beam_mat.core.settings import Settings
from beam_mat.core.trajectory import Trajectory, Turn
from beam_mat.storage import files, parts
from beam_mat.work.mix import mix
from tests.properties import examples

TEXTS = st.text(max_size=6) | st.sampled_from(["\u2028", "a\r\nb", "\x85\x0b\x0c", "é𝄞", '"\\'])


def file_of(path: str, data: bytes) -> str:
    """The file that the image step writes."""
    format = "JPEG" if path.endswith("jpg") else "PNG"
    return image_file(path, hashlib.sha256(data).hexdigest(), format)


A, C = (file_of(name, name.encode() * 50) for name in ("a.jpg", "b/c.png"))
PICTURES = {A: b"a.jpg" * 50, C: b"b/c.png" * 50}


def settings_for(folder: str | Path, *formats: str) -> Settings:
    """Settings, with two pictures where the image step would have left them."""
    for name, data in PICTURES.items():
        uri = files.join(str(folder), name)
        files.write_bytes(uri, data, files.join(str(folder), layout.SCRATCH))
    return Settings(output=str(folder), formats=formats or ("jsonl", "parquet"))


@pytest.fixture
def settings(root: str) -> Settings:
    """On each kind of store."""
    return settings_for(root)


@pytest.fixture
def near(tmp_path: Path) -> Settings:
    """On the local disk, where many examples cost little."""
    return settings_for(tmp_path)


def row(id: str, images: tuple[str, ...] = (), text: str = "So.", system: str = "") -> parts.Row:
    turns = (Turn("user", "<image>" * len(images) + "Why?"), Turn("assistant", text))
    return parts.row_of(Trajectory(id, system, turns, images))


def unit_of(name: str, rows: list[parts.Row], split: str = "train") -> Unit:
    return Unit(name, split, sum(1 for row in rows if row.images), len(rows))


def stored(settings: Settings, part: Part) -> bytes:
    """What lies under a part's name."""
    return files.read_bytes(files.join(settings.output, part.path))


def parquet_file(settings: Settings, part: Part) -> pq.ParquetFile:
    return pq.ParquetFile(io.BytesIO(stored(settings, part)))


def visible(settings: Settings) -> list[str]:
    """The files that a reader may come across, but for the pictures."""
    hidden = (f"{layout.SCRATCH}/", f"{layout.IMAGES}/")
    return [name for name, _ in files.find(settings.output) if not name.startswith(hidden)]


def written(settings: Settings, part: Part) -> list[dict[str, Any]]:
    """A part's rows, image bytes checked and left out, its facts held against the file."""
    data = stored(settings, part)
    assert part.bytes == len(data)
    assert part.sha256 == hashlib.sha256(data).hexdigest()
    if part.format == "jsonl":
        assert data.endswith(b"\n")
        rows = [json.loads(line) for line in data.split(b"\n")[:-1]]
    else:
        rows = parquet_file(settings, part).read().to_pylist()
        for item in rows:
            for image in item["images"]:
                assert image["bytes"] == PICTURES[image["path"]]
            item["images"] = [image["path"] for image in item["images"]]
    assert part.rows == len(rows)
    assert part.image_rows == sum(1 for item in rows if item["images"])
    return rows


def test_a_row_is_as_documented(settings: Settings) -> None:
    rows = [row("i1", (C, A), system="You are.")]
    jsonl, parquet = parts.write_unit(settings, unit_of("n", rows), rows)
    assert (jsonl.path, parquet.path) == ("jsonl/train-n.jsonl", "parquet/train-n.parquet")
    expected = {
        "messages": [
            {"role": "user", "content": "<image><image>Why?"},
            {"role": "assistant", "content": "So."},
        ],
        "images": [C, A],
        "system": "You are.",
        "id": "i1",
    }
    assert written(settings, jsonl) == written(settings, parquet) == [expected]


@trying(max_examples=examples(40), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.builds(row, TEXTS, st.sampled_from([(), (A,), (A, C)]), TEXTS, TEXTS),
        min_size=1,
        max_size=5,
    )
)
def test_both_formats_hold_the_same_rows_in_the_same_order(
    near: Settings, rows: list[parts.Row]
) -> None:
    jsonl, parquet = parts.write_unit(near, unit_of("n", rows), rows)
    assert written(near, jsonl) == written(near, parquet)
    assert [item["id"] for item in written(near, jsonl)] == [item.id for item in rows]


def test_the_parquet_schema_is_the_declared_one_and_groups_are_small(near: Settings) -> None:
    rows = [row(str(at), (A,) * (at % 3)) for at in range(250)]
    _, parquet = parts.write_unit(near, unit_of("n", rows), rows)
    file = parquet_file(near, parquet)
    image = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    message = pa.struct([("role", pa.string()), ("content", pa.string())])
    assert file.schema_arrow.equals(
        pa.schema(
            {
                "messages": pa.list_(message),
                "images": pa.list_(image),
                "system": pa.string(),
                "id": pa.string(),
            }
        )
    )
    assert b"huggingface" not in (file.metadata.metadata or {})
    groups = [file.metadata.row_group(at).num_rows for at in range(file.num_row_groups)]
    assert groups == [100, 100, 50]


def test_large_images_make_smaller_groups(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "GROUP_BYTES", 1000)
    rows = [row(str(at), (A,)) for at in range(20)]
    _, parquet = parts.write_unit(settings, unit_of("n", rows), rows)
    assert parquet_file(settings, parquet).num_row_groups == 5
    assert len(written(settings, parquet)) == 20


def test_writing_twice_gives_the_same_bytes_under_the_same_name(
    settings: Settings, near: Settings
) -> None:
    rows = [row(str(at), (A,) * (at % 2)) for at in range(10)]
    unit = unit_of("n", rows, "val")
    once = parts.write_unit(settings, unit, rows)
    held = [stored(settings, part) for part in once]
    assert parts.write_unit(settings, unit, rows) == once
    assert [stored(settings, part) for part in once] == held
    assert [part.path for part in once] == ["jsonl_val/val-n.jsonl", "parquet_val/val-n.parquet"]
    assert visible(settings) == [part.path for part in once]
    # Nor does it matter where.
    assert parts.write_unit(near, unit, rows) == once


def test_an_image_that_is_cut_off_is_not_whole() -> None:
    for file, data in PICTURES.items():
        assert parts._is_whole(f"gs://bucket/{file}", data)
        assert not parts._is_whole(f"gs://bucket/{file}", data[:-1])


def test_an_image_that_is_not_there_is_an_error(settings: Settings) -> None:
    rows = [row("1", (A,)), row("2", ("images/gone.0123456789abcdef.jpg",))]
    with pytest.raises(FileNotFoundError, match="gone"):
        parts.write_unit(settings, unit_of("n", rows), rows)
    assert not [name for name in visible(settings) if name.startswith("parquet")]


def at_half(monkeypatch: pytest.MonkeyPatch, do: Callable[[], object]) -> None:
    """Calls `do` when about half of a part of `HALVES` has been written."""
    write = files.HashingWriter.write
    half = 20_000

    def watched(file: files.HashingWriter, data: Any) -> int:
        before = file.tell()
        done = write(file, data)
        if before < half <= file.tell():
            do()
        return done

    monkeypatch.setattr(files.HashingWriter, "write", watched)


HALVES = [
    row(str(at), (A,) if at % 99 == 0 else (), random.Random(at).randbytes(200).hex())
    for at in range(200)
]


@pytest.mark.parametrize("format", ["jsonl", "parquet"])
def test_a_part_is_not_there_before_it_is_whole(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, format: str
) -> None:
    settings = msgspec.structs.replace(settings, formats=(format,))
    seen: list[list[str]] = []
    at_half(monkeypatch, lambda: seen.append(visible(settings)))
    (part,) = parts.write_unit(settings, unit_of("n", HALVES), HALVES)
    assert seen == [[]]
    assert visible(settings) == [part.path]


@pytest.mark.parametrize("format", ["jsonl", "parquet", "rejects"])
def test_a_part_that_fails_halfway_leaves_what_was_there(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, format: str
) -> None:
    settings = msgspec.structs.replace(settings, formats=(format,))
    reject = Reject(Reason.NO_ID, "so it is", "/a.json", 0, 0, 9, None, "{}")

    def write(name: str) -> Part:
        if format == "rejects":
            return parts.write_rejects(settings, name, [reject] * 500)
        (part,) = parts.write_unit(settings, unit_of(name, HALVES), HALVES)
        return part

    def fail() -> None:
        raise OSError("the disk is full")

    before = write("old")
    held = stored(settings, before)
    with monkeypatch.context() as patched:
        at_half(patched, fail)
        for name in ("old", "new"):
            with pytest.raises(OSError, match="the disk is full"):
                write(name)
    assert visible(settings) == [before.path]
    assert stored(settings, before) == held
    assert files.find(files.join(settings.output, layout.SCRATCH)) == []
    # It can be done again.
    assert write("new").sha256 == before.sha256


@pytest.mark.parametrize("format", ["jsonl", "parquet"])
def test_only_what_was_asked_for_is_written(tmp_path: Path, format: str) -> None:
    settings = settings_for(tmp_path, format)
    (part,) = parts.write_unit(settings, unit_of("n", HALVES), HALVES)
    assert part.format == format
    folders = {path.name for path in tmp_path.iterdir()}
    assert folders == {layout.IMAGES, layout.WORK, format}


def test_rows_set_aside_lie_where_no_reader_looks(settings: Settings) -> None:
    for part in parts.write_unit(settings, unit_of("n", [row("1")]), [row("1")]):
        assert part.path.startswith(f"{layout.WORK}/")
        assert len(written(settings, part)) == 1


def test_rejects_are_lines_that_come_back(settings: Settings) -> None:
    rejects = [
        Reject(Reason.NO_ID, "é\u2028\n", "/a.json", at, 0, 9, None, "{}") for at in range(3)
    ]
    part = parts.write_rejects(settings, "n", rejects)
    assert (part.path, part.rows) == ("rejects/n.jsonl", 3)
    data = stored(settings, part)
    assert (part.bytes, part.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    lines = data.split(b"\n")
    assert [json.loads(line)["index"] for line in lines[:-1]] == [0, 1, 2]
    assert json.loads(lines[0])["reason"] == "no_id"


def a_chunk(settings: Settings, name: str, images: int, texts: int) -> Unit:
    """Writes a chunk's rows as the write step does."""
    rows = interleave(
        [row(f"{name}i{at}", (A,) * (1 + at % 2)) for at in range(images)],
        [row(f"{name}t{at}") for at in range(texts)],
    )
    unit = unit_of(name, rows)
    parts.write_unit(settings, unit, rows)
    return unit


def ids(rows: list[dict[str, Any]]) -> Counter[str]:
    return Counter(item["id"] for item in rows)


def mixed(settings: Settings, job: MixJob) -> dict[str, list[list[dict[str, Any]]]]:
    """The rows of each part that a job makes, by format."""
    note = mix(settings, job)
    made: dict[str, list[list[dict[str, Any]]]] = {}
    for part in note.parts:
        made.setdefault(part.format, []).append(written(settings, part))
    units = [unit for unit in (job.base, *job.texts) if unit]
    assert len(note.replaced) == len(units) * len(settings.formats)
    assert not set(note.replaced) & {part.path for part in note.parts}
    for path in note.replaced:
        assert files.exists(files.join(settings.output, path))
    return made


@trying(max_examples=examples(25))
@given(
    st.integers(1, 12),
    st.integers(0, 30),
    st.lists(st.integers(1, 30), min_size=1, max_size=4),
    st.integers(0, 1 << 30),
)
def test_mixed_parts_hold_every_row_once_and_begin_with_an_image(
    tmp_path_factory: pytest.TempPathFactory, images: int, own: int, texts: list[int], seed: int
) -> None:
    settings = settings_for(tmp_path_factory.mktemp("mix"))
    names = [f"n{at}" for at in range(1 + len(texts))]
    random.Random(seed).shuffle(names)
    units = [a_chunk(settings, names[0], images, own)]
    units += [
        a_chunk(settings, name, 0, count) for name, count in zip(names[1:], texts, strict=True)
    ]
    (job,) = plan(units)
    made = mixed(settings, job)
    assert made["jsonl"] == made["parquet"]
    before = [f"{names[0]}i{at}" for at in range(images)] + [
        f"{names[0]}t{at}" for at in range(own)
    ]
    before += [f"{name}t{at}" for name, n in zip(names[1:], texts, strict=True) for at in range(n)]
    assert sum((ids(rows) for rows in made["jsonl"]), Counter[str]()) == Counter(before)
    for rows in made["jsonl"]:
        assert rows[0]["images"]
        with_images = sum(1 for item in rows if item["images"])
        runs = [
            len(list(run)) for text, run in groupby(not item["images"] for item in rows) if text
        ]
        assert max(runs, default=0) <= -(-(len(rows) - with_images) // with_images)


def test_mixing_twice_writes_the_same_parts(settings: Settings) -> None:
    (job,) = plan([a_chunk(settings, "a", 5, 3), a_chunk(settings, "b", 0, 7)])
    assert mix(settings, job) == mix(settings, job)


def test_mixed_parquet_keeps_schema_and_small_groups(settings: Settings) -> None:
    (job,) = plan([a_chunk(settings, "a", 1, 130), a_chunk(settings, "b", 0, 120)])
    (part,) = [part for part in mix(settings, job).parts if part.format == "parquet"]
    file = parquet_file(settings, part)
    assert file.schema_arrow.equals(parts.schema_of(""))
    sizes = [file.metadata.row_group(at).num_rows for at in range(file.num_row_groups)]
    assert (sum(sizes), max(sizes)) == (251, 100)


def test_without_any_image_text_only_rows_are_published_as_they_are(settings: Settings) -> None:
    jobs = plan([a_chunk(settings, "a", 0, 3), a_chunk(settings, "b", 0, 2)])
    found = [rows for job in jobs for rows in mixed(settings, job)["jsonl"]]
    assert sorted(map(len, found)) == [2, 3]
    assert sum((ids(rows) for rows in found), Counter[str]()) == Counter(
        ["at0", "at1", "at2", "bt0", "bt1"]
    )
