"""Images out: each written under its own path, with a row that tells what was done."""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec
import pyarrow.parquet as pq
import pytest

from beam_mat.core import layout
from beam_mat.core.geometry import QWEN2_VL, QWEN3_VL, tokens
from beam_mat.core.image import ImageFault
from beam_mat.core.member import Member, Packing
from beam_mat.core.reject import Reason
from beam_mat.core.settings import Settings
from beam_mat.storage import catalog, files, images
from beam_mat.storage.fetch import fetch
from tests.build import opened, picture, with_entry, zip_of
from tests.making import write_files

LARGE, SMALL = picture((800, 600), format="JPEG"), picture()
MEMBERS = {
    "c/large.jpg": LARGE,
    "c/small.png": SMALL,
    "c/moving.gif": picture(mode="P", format="GIF"),
}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(output=str(tmp_path / "out"))


def converted(settings: Settings, tmp_path: Path, data: bytes) -> dict[str, images.ImageRow]:
    zip_path = tmp_path / "images.zip"
    zip_path.write_bytes(data)
    pairs = fetch(list(catalog.members(str(zip_path), 0)))
    with files.Outbox() as outbox:
        rows = [images.convert(settings, member, found, outbox) for member, found in pairs]
    return {row.path: row for row in rows}


def written(settings: Settings) -> dict[str, bytes]:
    root = Path(settings.output)
    return {
        str(path.relative_to(root / "images")): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file()
    }


def test_each_image_lies_under_its_path_and_its_row_says_what_was_done(
    settings: Settings, tmp_path: Path
) -> None:
    rows = converted(settings, tmp_path, zip_of(MEMBERS))
    held = written(settings)
    assert sorted(rows) == sorted(held) == sorted(MEMBERS)
    assert held["c/small.png"] == SMALL
    for path, row in rows.items():
        picture = opened(held[path])
        assert (row.bytes, row.sha256) == (len(held[path]), hashlib.sha256(held[path]).hexdigest())
        assert (row.format, (row.width, row.height)) == (picture.format, picture.size)
        assert (row.source, row.source_bytes) == (str(tmp_path / "images.zip"), len(MEMBERS[path]))
        assert row.qwen2_vl_tokens == tokens(picture.size, QWEN2_VL)
        assert row.qwen3_vl_tokens == tokens(picture.size, QWEN3_VL)
        assert row.outcome().fault is None
    done = {path: (row.status, row.source_format, row.source_width) for path, row in rows.items()}
    assert done == {
        "c/large.jpg": ("resized", "JPEG", 800),
        "c/small.png": ("kept", "PNG", 48),
        "c/moving.gif": ("converted", "GIF", 48),
    }


def test_doing_it_twice_writes_the_same_bytes(settings: Settings, tmp_path: Path) -> None:
    data = zip_of(MEMBERS)
    first, held = converted(settings, tmp_path, data), written(settings)
    assert converted(settings, tmp_path, data) == first
    assert written(settings) == held


def test_a_faulty_image_is_not_written_and_says_why(settings: Settings, tmp_path: Path) -> None:
    faulty = {"cut.jpg": LARGE[:9000], "text.png": b"text", "good.png": SMALL, "crc.png": SMALL}
    rows = converted(settings, tmp_path, with_entry(zip_of(faulty), 3, crc=1))
    assert list(written(settings)) == ["good.png"]
    expected = {
        "cut.jpg": Reason.IMAGE_TRUNCATED,
        "text.png": Reason.IMAGE_UNDECODABLE,
        "crc.png": Reason.MEMBER_DAMAGED,
    }
    for path, reason in expected.items():
        outcome = rows[path].outcome()
        assert outcome.fault
        assert (outcome.path, outcome.fault.reason) == (path, reason)
        assert path in outcome.fault.detail
        assert rows[path].sha256 is None


def test_a_missing_image_has_a_row_too() -> None:
    outcome = images.missing("c/none.jpg").outcome()
    assert outcome.fault
    assert outcome.fault.reason is Reason.IMAGE_MISSING
    assert "c/none.jpg" in outcome.fault.detail


def test_the_rows_of_a_batch_are_left_as_a_table(settings: Settings, tmp_path: Path) -> None:
    rows = [*converted(settings, tmp_path, zip_of(MEMBERS)).values(), images.missing("c/none.jpg")]
    for _ in range(2):
        images.leave_rows(settings, "0 0", rows)
    (path,) = (Path(settings.output) / layout.BATCH_NOTES / settings.generation).iterdir()
    table = pq.read_table(path)
    assert table.schema.equals(images.NOTE_SCHEMA)
    assert table.to_pylist() == msgspec.to_builtins(rows)
    images.leave_rows(settings, "0 0", rows[:1])
    assert len(list(path.parent.iterdir())) == 2


def test_what_has_no_origin_is_known_by_no_note(settings: Settings) -> None:
    unsafe = images.ImageRow("x", Reason.UNSAFE_PATH.value, "in the way of another")
    images.leave_rows(settings, "0 0", [unsafe, images.missing("gone.jpg")])
    (name,) = (Path(settings.output) / layout.BATCH_NOTES / settings.generation).iterdir()
    noted = f"{settings.generation}/{name.name}"
    assert images.unchanged(settings, {"a.jpg": "origin"}, [noted]) == {}


def test_a_member_with_a_fault_is_not_opened(settings: Settings) -> None:
    fault = ImageFault(Reason.MEMBER_UNSUPPORTED, "the entry is encrypted")
    member = Member("a.jpg", "/nowhere.zip", 0, 0, 9, 9, 9, Packing.STORED, 0, fault)
    ((_, found),) = fetch([member])
    row = images.convert(settings, member, found, files.Outbox())
    assert row.status == "member_unsupported"


def test_only_images_are_removed(tmp_path: Path) -> None:
    settings = Settings(str(tmp_path / "out"))
    made = ("victim.txt", "out/images/a/b.jpg", "out/images/c.jpg")
    write_files(tmp_path, dict.fromkeys(made, b"1"))
    for path in ("../../victim.txt", "/victim.txt", "a", "nowhere.jpg", ""):
        images.remove(settings, path)
    left = sorted(path.name for path in tmp_path.rglob("*") if path.is_file())
    assert left == ["b.jpg", "c.jpg", "victim.txt"]
    images.remove(settings, "a/b.jpg")
    assert [path.name for path in (tmp_path / "out" / "images").iterdir()] == ["c.jpg"]
