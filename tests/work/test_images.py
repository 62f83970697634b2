"""Images out: each written once, and a row that says what was done, which later runs find again."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from beam_mat.core import layout
from beam_mat.core.errors import LostRecordError
from beam_mat.core.geometry import QWEN2_VL, QWEN3_VL, Budget, tokens
from beam_mat.core.image import ImageFault, ImageRules
from beam_mat.core.layout import image_file
from beam_mat.core.member import Member, Packing
from beam_mat.core.reject import Reason
from beam_mat.core.results import Wanted
from beam_mat.core.settings import Settings
from beam_mat.storage import catalog, files, inputs
from beam_mat.work import images
from beam_mat.work.convert_image import ImageRow, missing_row
from beam_mat.work.images import RESULT_SCHEMA, TABLE_SCHEMA, convert_batch
from tests.build import opened, picture, with_entry, zip_of

LARGE, SMALL = picture((800, 600), format="JPEG"), picture()
MEMBERS = {
    "c/large.jpg": LARGE,
    "c/small.png": SMALL,
    "c/moving.gif": picture(mode="P", format="GIF"),
}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(output=str(tmp_path / "out"))


def converted(settings: Settings, tmp_path: Path, data: bytes) -> dict[str, ImageRow]:
    zip_path = tmp_path / "images.zip"
    zip_path.write_bytes(data)
    wanted = [Wanted(one.path, one, ()) for one in catalog.members(str(zip_path), 0)]
    version = hashlib.sha256(data).hexdigest()
    rows, _ = convert_batch(settings, "0 0", wanted, lambda _: (str(zip_path), version), id)
    return {row.path: row for row in rows}


def written(settings: Settings) -> dict[str, bytes]:
    """The image files, by their paths below the output folder."""
    root = Path(settings.output)
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in (root / "images").rglob("*")
        if path.is_file()
    }


def test_each_image_is_in_the_file_that_its_row_names(settings: Settings, tmp_path: Path) -> None:
    rows = converted(settings, tmp_path, zip_of(MEMBERS))
    held = written(settings)
    assert sorted(rows) == sorted(MEMBERS)
    assert {row.file for row in rows.values()} == set(held)
    for path, row in rows.items():
        assert row.file
        data = held[row.file]
        picture, sha256 = opened(data), hashlib.sha256(data).hexdigest()
        assert (row.bytes, row.sha256) == (len(data), sha256)
        assert row.file == image_file(path, sha256, row.format or "")
        assert (row.format, (row.width, row.height)) == (picture.format, picture.size)
        assert (row.source, row.source_bytes) == (str(tmp_path / "images.zip"), len(MEMBERS[path]))
        assert row.qwen2_vl_tokens == tokens(picture.size, QWEN2_VL)
        assert row.qwen3_vl_tokens == tokens(picture.size, QWEN3_VL)
        assert row.outcome().fault is None
        assert row.outcome().file == row.file
    assert held[rows["c/small.png"].file or ""] == SMALL
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


def test_a_picture_that_changes_gets_a_file_of_its_own(settings: Settings, tmp_path: Path) -> None:
    (first,) = converted(settings, tmp_path, zip_of({"a.png": SMALL})).values()
    held = written(settings)
    (second,) = converted(settings, tmp_path, zip_of({"a.png": picture((24, 24))})).values()
    assert first.file != second.file
    now = written(settings)
    assert now.items() > held.items(), "nothing is overwritten"
    assert len(now) == 2


def test_a_faulty_image_is_not_written_and_says_why(settings: Settings, tmp_path: Path) -> None:
    faulty = {"cut.jpg": LARGE[:9000], "text.png": b"text", "good.png": SMALL, "crc.png": SMALL}
    rows = converted(settings, tmp_path, with_entry(zip_of(faulty), 3, crc=1))
    assert list(written(settings)) == [rows["good.png"].file]
    expected = {
        "cut.jpg": Reason.IMAGE_TRUNCATED,
        "text.png": Reason.IMAGE_UNDECODABLE,
        "crc.png": Reason.MEMBER_DAMAGED,
    }
    for path, reason in expected.items():
        outcome = rows[path].outcome()
        assert outcome.fault
        assert (outcome.path, outcome.fault.reason, outcome.file) == (path, reason, "")
        assert path in outcome.fault.detail
        assert rows[path].sha256 is rows[path].file is None


def test_a_member_with_a_fault_is_not_opened(settings: Settings) -> None:
    fault = ImageFault(Reason.MEMBER_UNSUPPORTED, "the entry is encrypted")
    member = Member("a.jpg", "/nowhere.zip", 0, 0, 9, 9, 9, Packing.STORED, 0, fault)
    wanted = [Wanted(member.path, member, ())]
    ((row,), _) = convert_batch(settings, "0 0", wanted, lambda _: ("/nowhere.zip", ""), id)
    assert row.status == "member_unsupported"


class Run(NamedTuple):
    """Rows, the name of their result, and how many images an earlier run had converted."""

    rows: list[ImageRow]
    table: str
    found: int


class Zip:
    """A zip whose images are converted, run by run.

    Attributes:
        settings: Of the next run.
    """

    def __init__(self, folder: Path, members: Mapping[str, bytes]) -> None:
        self.settings = Settings(str(folder / "out"), resume=True, resizer="r 1")
        self._path = folder / "z.zip"
        self.write(zip_of(members))

    def write(self, data: bytes) -> None:
        self._path.write_bytes(data)

    def run(self, *missing: str) -> Run:
        """Converts all members, and images that the zip does not have, as one batch."""
        source = inputs.identify(str(self._path))
        members = list(catalog.members(source.uri, 0))
        (batch,) = {images.batch_of(member.path, member) for member in members}
        wanted = [Wanted(member.path, member, ("c",)) for member in members]
        wanted += [Wanted(path, None, ("c",)) for path in missing]
        done: list[int] = []
        rows, table = images.convert_batch(
            self.settings, batch, wanted, lambda _: (source.uri, source.version), done.append
        )
        assert sum(done) == len(members)
        assert [row.path for row in rows] == sorted(item.path for item in wanted)
        return Run(rows, table, done[0])


@pytest.fixture
def zipped(tmp_path: Path) -> Zip:
    return Zip(tmp_path, MEMBERS)


def test_a_batch_that_was_converted_is_found(zipped: Zip) -> None:
    first = zipped.run()
    assert first.found == 0
    again = zipped.run()
    assert again == first._replace(found=3)


def test_nothing_is_looked_for_in_a_fresh_folder(zipped: Zip) -> None:
    zipped.run()
    zipped.settings = msgspec.structs.replace(zipped.settings, resume=False)
    assert zipped.run().found == 0


@pytest.mark.parametrize(
    "change",
    [
        {"images": ImageRules(Budget(1024))},
        {"images": ImageRules(apply_exif=True)},
        {"resizer": "r 2"},
    ],
)
def test_other_settings_find_nothing(zipped: Zip, change: dict[str, object]) -> None:
    zipped.run()
    zipped.settings = msgspec.structs.replace(zipped.settings, **change)
    assert zipped.run().found == 0


def test_settings_that_decide_no_image_find_all(zipped: Zip) -> None:
    zipped.run()
    zipped.settings = msgspec.structs.replace(
        zipped.settings, formats=("jsonl",), val_fraction=0.5, fingerprint="other", image_workers=3
    )
    assert zipped.run().found == 3


def test_another_version_of_the_zip_finds_nothing(zipped: Zip) -> None:
    zipped.run()
    zipped.write(zip_of({**MEMBERS, "new.png": SMALL}))
    assert zipped.run().found == 0


def test_another_member_under_the_same_version_is_converted_again(
    zipped: Zip, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store's version may be coarse, or a zip come back with its old one."""
    monkeypatch.setattr(inputs, "identify", lambda uri: files.FileInfo(uri, 1, "always the same"))
    zipped.run()
    zipped.write(with_entry(zip_of(MEMBERS), 1, crc=1))
    made = zipped.run()
    assert made.found == 2
    (changed,) = (row for row in made.rows if row.path == "c/small.png")
    assert changed.status == "member_damaged"


def test_a_lost_file_is_written_again(zipped: Zip) -> None:
    first = zipped.run()
    held = written(zipped.settings)
    lost = next(row for row in first.rows if row.path == "c/small.png")
    (Path(zipped.settings.output) / (lost.file or "")).unlink()
    assert zipped.run() == first._replace(found=2)
    assert written(zipped.settings) == held


def test_what_failed_is_not_tried_again(zipped: Zip) -> None:
    zipped.write(zip_of({"text.png": b"text", "good.png": SMALL}))
    first = zipped.run()
    assert zipped.run() == first._replace(found=2)


def test_images_that_no_source_has_have_rows_too(zipped: Zip) -> None:
    made = zipped.run("gone.jpg")
    assert [row.path for row in made.rows if row.file is None] == ["gone.jpg"]
    again = zipped.run()
    assert (len(again.rows), again.found) == (3, 3), "nobody has asked for it now"


def test_a_batch_without_any_member(settings: Settings) -> None:
    def nowhere(member: Member) -> tuple[str, str]:
        raise AssertionError(member)

    wanted = [Wanted(path, None, ("c",)) for path in ("b", "a")]
    rows, table = images.convert_batch(settings, "missing 7", wanted, nowhere, lambda _: None)
    assert [(row.path, row.status) for row in rows] == [
        ("a", "image_missing"),
        ("b", "image_missing"),
    ]
    assert table.partition("/")[0]
    assert written(settings) == {}


def test_images_that_are_read_together_share_a_batch() -> None:
    def member(source: str, order: int, batch: int, packing: Packing = Packing.STORED) -> Member:
        return Member("a", source, order, 0, 9, 9, 9, packing, 0, batch=batch)

    one = images.batch_of("a", member("z.zip", 0, 0))
    assert images.batch_of("b", member("z.zip", 0, 0)) == one
    others = {
        images.batch_of("a", member("y.zip", 0, 0)),
        images.batch_of("a", member("z.zip", 1, 0)),
        images.batch_of("a", member("z.zip", 0, 1)),
        images.batch_of("a", None),
    }
    assert one not in others
    assert len(others) == 4
    folder = [member(f"d/{name}", 0, 0, Packing.FILE) for name in "ab"]
    assert len({images.batch_of("a", file) for file in folder}) == 1
    missing = {images.batch_of(str(number), None) for number in range(2000)}
    assert len(missing) == images.MISSING_BATCHES


def test_all_results_of_a_zip_s_stretch_are_in_one_folder(zipped: Zip) -> None:
    tables = {zipped.run().table, zipped.run("gone.jpg").table}
    assert len(tables) == 2
    assert len({table.partition("/")[0] for table in tables}) == 1
    found = files.find(files.join(zipped.settings.output, layout.IMAGE_RESULTS))
    assert {f"{table}.parquet" for table in tables} == {name for name, _ in found}


MEMBER = Member("a.jpg", "z.zip", 0, 5, 99, 80, 70, Packing.STORED, 7)


@pytest.fixture
def on_store(root: str) -> Settings:
    return Settings(root, resume=True, resizer="r 1")


def row(on_store: Settings, path: str = "a.jpg", origin: str | None = "o") -> ImageRow:
    """A usable image, whose file is written."""
    file = layout.image_file(path, "0" * 64, "JPEG")
    scratch = files.join(on_store.output, layout.SCRATCH)
    files.write_bytes(files.join(on_store.output, file), b"12345", scratch)
    return ImageRow(
        path,
        file,
        "kept",
        None,
        "z.zip",
        "JPEG",
        4,
        3,
        9,
        "JPEG",
        4,
        3,
        5,
        "0" * 64,
        1,
        2,
        None,
        origin,
    )


def faulty(path: str, origin: str | None = "o") -> ImageRow:
    return ImageRow(path, None, Reason.IMAGE_TRUNCATED.value, "cut", "z.zip", origin=origin)


def test_rows_come_back_as_rows_of_the_table(on_store: Settings) -> None:
    rows = [row(on_store), faulty("b.jpg"), missing_row("gone.jpg")]
    names = [images.write_rows(on_store, "f", rows), images.write_rows(on_store, "f", rows[:1])]
    (table, statistics), (first, _) = images.read_rows(on_store.output, names)
    assert table.schema.equals(TABLE_SCHEMA)
    assert "origin" not in table.schema.names
    known = [{name: getattr(one, name) for name in TABLE_SCHEMA.names} for one in rows]
    assert (table.to_pylist(), first.to_pylist()) == (known, known[:1])
    assert statistics == images.statistics_of(table)
    assert statistics.formats_after["JPEG"].bytes == 5


def test_the_same_rows_have_the_same_name_and_bytes(on_store: Settings) -> None:
    rows = [row(on_store), faulty("b.jpg")]
    name = images.write_rows(on_store, "f", rows)
    assert name.startswith("f/")
    uri = images.uri_of(on_store.output, name)
    before = files.read_bytes(uri)
    fresh = msgspec.structs.replace(on_store, resume=False)
    assert images.write_rows(fresh, "f", rows) == images.write_rows(on_store, "f", rows) == name
    assert files.read_bytes(uri) == before
    assert images.write_rows(on_store, "f", rows[:1]) != name
    assert images.write_rows(on_store, "g", rows) != name
    other = [msgspec.structs.replace(rows[0], origin="p"), rows[1]]
    assert images.write_rows(on_store, "f", other) != name


def test_rows_of_the_same_origin_are_found(on_store: Settings) -> None:
    rows = [row(on_store), faulty("b.jpg")]
    images.write_rows(on_store, "f", rows)
    images.write_rows(on_store, "f", [row(on_store, "c.jpg")])
    origins = {"a.jpg": "o", "b.jpg": "o", "c.jpg": "o", "d.jpg": "o"}
    found = images.find_rows(on_store, "f", origins)
    assert found == {one.path: one for one in (*rows, row(on_store, "c.jpg"))}
    assert images.find_rows(on_store, "f", {"b.jpg": "o"}) == {"b.jpg": rows[1]}


def test_rows_of_another_origin_folder_or_run_are_not(on_store: Settings) -> None:
    images.write_rows(on_store, "f", [row(on_store), faulty("b.jpg")])
    assert images.find_rows(on_store, "f", {"a.jpg": "other", "b.jpg": "other"}) == {}
    assert images.find_rows(on_store, "g", {"a.jpg": "o"}) == {}
    assert images.find_rows(on_store, "f", {}) == {}
    fresh = msgspec.structs.replace(on_store, resume=False)
    assert images.find_rows(fresh, "f", {"a.jpg": "o"}) == {}


def test_what_has_no_origin_is_found_by_nobody(on_store: Settings) -> None:
    """Else a call would get rows of images that it has not asked for."""
    images.write_rows(on_store, "f", [missing_row("gone.jpg"), faulty("x.jpg", None)])
    assert images.find_rows(on_store, "f", {"a.jpg": "origin"}) == {}
    assert images.find_rows(on_store, "f", {"gone.jpg": "origin"}) == {}


def _remove(on_store: Settings, uri: str) -> None:
    files.remove_file(uri)


def _cut(on_store: Settings, uri: str) -> None:
    files.write_bytes(uri, b"1234", files.join(on_store.output, layout.SCRATCH))


@pytest.mark.parametrize("lose", [_remove, _cut])
def test_an_image_whose_file_is_lost_is_made_again(
    on_store: Settings, lose: Callable[[Settings, str], None]
) -> None:
    rows = [row(on_store), row(on_store, "b.jpg"), faulty("c.jpg")]
    images.write_rows(on_store, "f", rows)
    lose(on_store, files.join(on_store.output, rows[0].file or ""))
    found = images.find_rows(on_store, "f", {one.path: "o" for one in rows})
    assert found == {one.path: one for one in rows[1:]}


def test_a_batch_s_folder_is_named_by_what_decides_its_images() -> None:
    on_store = Settings("/out", resizer="r 1")
    cases = [
        (on_store, "z.zip", "1", "0"),
        (on_store, "y.zip", "1", "0"),
        (on_store, "z.zip", "2", "0"),
        (on_store, "z.zip", "1", "1"),
        (msgspec.structs.replace(on_store, resizer="r 2"), "z.zip", "1", "0"),
        (msgspec.structs.replace(on_store, images=ImageRules(Budget(1000))), "z.zip", "1", "0"),
        (msgspec.structs.replace(on_store, images=ImageRules(apply_exif=True)), "z.zip", "1", "0"),
    ]
    assert len({images.folder_of(*case) for case in cases}) == len(cases)
    same = msgspec.structs.replace(on_store, output="/x", formats=("jsonl",), val_fraction=0.5)
    assert images.folder_of(same, "z.zip", "1", "0") == images.folder_of(*cases[0])


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
    sizes: dict[str, Any] = {"source_width": 900, "source_height": 700, "width": 580, "height": 451}
    usable = ImageRow("a", "images/a.jpg", "resized", qwen2_vl_tokens=3, qwen3_vl_tokens=4, **sizes)
    outcome = usable.outcome()
    assert (outcome.path, outcome.file, outcome.tokens) == ("a", "images/a.jpg", (3, 4))
    assert (outcome.original, outcome.written, outcome.resized) == ((900, 700), (580, 451), True)
    turned = msgspec.structs.replace(usable, width=700, height=900).outcome()
    assert (turned.original, turned.resized) == ((700, 900), False)
    assert outcome.fault is None
    gone = missing_row("c/none.jpg").outcome()
    assert gone.fault
    assert (gone.fault.reason, gone.file) == (Reason.IMAGE_MISSING, "")
    assert "c/none.jpg" in gone.fault.detail


def test_results_of_another_version_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / layout.IMAGE_RESULTS / "f"
    folder.mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist([], RESULT_SCHEMA), folder / "1.parquet")
    with pytest.raises(LostRecordError, match="another version of beam-mat"):
        list(images.read_rows(str(tmp_path), ["f/1"]))


def test_a_result_that_is_not_there_is_named(on_store: Settings) -> None:
    with pytest.raises(FileNotFoundError, match=r"none\.parquet"):
        list(images.read_rows(on_store.output, ["f/none"]))
