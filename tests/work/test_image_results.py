"""Image results: found again exactly where an image was made of the same, and its file is there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from beam_mat.core import layout
from beam_mat.core.errors import LostRecordError
from beam_mat.core.geometry import Budget
from beam_mat.core.member import Member, Packing
from beam_mat.core.reject import Reason
from beam_mat.core.settings import Settings
from beam_mat.storage import files
from beam_mat.work import image_results
from beam_mat.work.image_results import RESULT_SCHEMA, TABLE_SCHEMA, ImageRow

MEMBER = Member("a.jpg", "z.zip", 0, 5, 99, 80, 70, Packing.STORED, 7)


@pytest.fixture
def settings(root: str) -> Settings:
    return Settings(root, resume=True, resizer="r 1")


def row(settings: Settings, path: str = "a.jpg", origin: str | None = "o") -> ImageRow:
    """A usable image, whose file is written."""
    file = f"images/{path}.0123.jpg"
    scratch = files.join(settings.output, layout.SCRATCH)
    files.write_bytes(files.join(settings.output, file), b"12345", scratch)
    return ImageRow(
        path, file, "kept", None, "z.zip", "JPEG", 4, 3, 9, "JPEG", 4, 3, 5, "0" * 64, 1, 2, origin
    )


def faulty(path: str, origin: str | None = "o") -> ImageRow:
    return ImageRow(path, None, Reason.IMAGE_TRUNCATED.value, "cut", "z.zip", origin=origin)


def test_rows_come_back_as_rows_of_the_table(settings: Settings) -> None:
    rows = [row(settings), faulty("b.jpg"), image_results.missing("gone.jpg")]
    names = [image_results.write(settings, "f", rows), image_results.write(settings, "f", rows[:1])]
    (table, statistics), (first, _) = image_results.read(settings.output, names)
    assert table.schema.equals(TABLE_SCHEMA)
    assert "origin" not in table.schema.names
    known = [{name: getattr(one, name) for name in TABLE_SCHEMA.names} for one in rows]
    assert (table.to_pylist(), first.to_pylist()) == (known, known[:1])
    assert statistics == image_results.statistics_of(table)
    assert statistics.formats_after["JPEG"].bytes == 5


def test_the_same_rows_have_the_same_name_and_bytes(settings: Settings) -> None:
    rows = [row(settings), faulty("b.jpg")]
    name = image_results.write(settings, "f", rows)
    assert name.startswith("f/")
    uri = image_results.uri_of(settings.output, name)
    before = files.read_bytes(uri)
    fresh = msgspec.structs.replace(settings, resume=False)
    assert image_results.write(fresh, "f", rows) == image_results.write(settings, "f", rows) == name
    assert files.read_bytes(uri) == before
    assert image_results.write(settings, "f", rows[:1]) != name
    assert image_results.write(settings, "g", rows) != name
    other = [msgspec.structs.replace(rows[0], origin="p"), rows[1]]
    assert image_results.write(settings, "f", other) != name


def test_rows_of_the_same_origin_are_found(settings: Settings) -> None:
    rows = [row(settings), faulty("b.jpg")]
    image_results.write(settings, "f", rows)
    image_results.write(settings, "f", [row(settings, "c.jpg")])
    origins = {"a.jpg": "o", "b.jpg": "o", "c.jpg": "o", "d.jpg": "o"}
    found = image_results.find(settings, "f", origins)
    assert found == {one.path: one for one in (*rows, row(settings, "c.jpg"))}
    assert image_results.find(settings, "f", {"b.jpg": "o"}) == {"b.jpg": rows[1]}


def test_rows_of_another_origin_folder_or_run_are_not(settings: Settings) -> None:
    image_results.write(settings, "f", [row(settings), faulty("b.jpg")])
    assert image_results.find(settings, "f", {"a.jpg": "other", "b.jpg": "other"}) == {}
    assert image_results.find(settings, "g", {"a.jpg": "o"}) == {}
    assert image_results.find(settings, "f", {}) == {}
    fresh = msgspec.structs.replace(settings, resume=False)
    assert image_results.find(fresh, "f", {"a.jpg": "o"}) == {}


def test_what_has_no_origin_is_found_by_nobody(settings: Settings) -> None:
    """Else a call would get rows of images that it has not asked for."""
    image_results.write(settings, "f", [image_results.missing("gone.jpg"), faulty("x.jpg", None)])
    assert image_results.find(settings, "f", {"a.jpg": "origin"}) == {}
    assert image_results.find(settings, "f", {"gone.jpg": "origin"}) == {}


def _remove(settings: Settings, uri: str) -> None:
    files.remove_file(uri)


def _cut(settings: Settings, uri: str) -> None:
    files.write_bytes(uri, b"1234", files.join(settings.output, layout.SCRATCH))


@pytest.mark.parametrize("lose", [_remove, _cut])
def test_an_image_whose_file_is_lost_is_made_again(
    settings: Settings, lose: Callable[[Settings, str], None]
) -> None:
    rows = [row(settings), row(settings, "b.jpg"), faulty("c.jpg")]
    image_results.write(settings, "f", rows)
    lose(settings, files.join(settings.output, rows[0].file or ""))
    found = image_results.find(settings, "f", {one.path: "o" for one in rows})
    assert found == {one.path: one for one in rows[1:]}


def test_a_batch_s_folder_is_named_by_what_decides_its_images() -> None:
    settings = Settings("/out", resizer="r 1")
    cases = [
        (settings, "z.zip", "1", "0"),
        (settings, "y.zip", "1", "0"),
        (settings, "z.zip", "2", "0"),
        (settings, "z.zip", "1", "1"),
        (msgspec.structs.replace(settings, resizer="r 2"), "z.zip", "1", "0"),
        (msgspec.structs.replace(settings, budget=Budget(1000)), "z.zip", "1", "0"),
        (msgspec.structs.replace(settings, apply_exif=True), "z.zip", "1", "0"),
    ]
    assert len({image_results.folder_of(*case) for case in cases}) == len(cases)
    same = msgspec.structs.replace(settings, output="/x", formats=("jsonl",), val_fraction=0.5)
    assert image_results.folder_of(same, "z.zip", "1", "0") == image_results.folder_of(*cases[0])


def test_an_origin_tells_members_apart() -> None:
    changes: list[dict[str, object]] = [
        {"source": "y.zip"},
        {"offset": 6},
        {"size": 81},
        {"crc": 8},
    ]
    members = [MEMBER, *(msgspec.structs.replace(MEMBER, **change) for change in changes)]
    origins = {member.origin("1", "d") for member in members}
    origins |= {MEMBER.origin("2", "d"), MEMBER.origin("1", "e")}
    assert len(origins) == len(members) + 2
    file = msgspec.structs.replace(MEMBER, packing=Packing.FILE, version="1")
    changed = msgspec.structs.replace(file, version="2")
    assert file.origin("", "d") != changed.origin("", "d"), "a file has its own version"
    assert file.origin("1", "d") == file.origin("2", "d")


def test_outcomes_say_what_records_need() -> None:
    usable = ImageRow("a", "images/a.jpg", "kept", qwen2_vl_tokens=3, qwen3_vl_tokens=4)
    outcome = usable.outcome()
    assert (outcome.path, outcome.file, outcome.tokens) == ("a", "images/a.jpg", (3, 4))
    assert outcome.fault is None
    gone = image_results.missing("c/none.jpg").outcome()
    assert gone.fault
    assert (gone.fault.reason, gone.file) == (Reason.IMAGE_MISSING, "")
    assert "c/none.jpg" in gone.fault.detail


def test_results_of_another_version_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / layout.IMAGE_RESULTS / "f"
    folder.mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist([], RESULT_SCHEMA), folder / "1.parquet")
    with pytest.raises(LostRecordError, match="another version of beam-mat"):
        list(image_results.read(str(tmp_path), ["f/1"]))


def test_a_result_that_is_not_there_is_named(settings: Settings) -> None:
    with pytest.raises(FileNotFoundError, match=r"none\.parquet"):
        list(image_results.read(settings.output, ["f/none"]))
