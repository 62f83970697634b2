"""Tables of images: of rows with the same path the last one counts."""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from beam_mat.core import layout
from beam_mat.core.settings import Settings
from beam_mat.dataset import image_table
from beam_mat.dataset.commit import ImageTotals
from beam_mat.storage import files
from beam_mat.work import images
from beam_mat.work.convert_image import ImageRow, missing_row
from beam_mat.work.images import TABLE_SCHEMA
from tests.dataset.made import table_of

ONE = {"a.png": "images/a.1.png", "b.png": "images/b.1.png"}
TWO = {"b.png": "images/b.2.png", "c.png": None}
BOTH = {**ONE, **TWO}


def row(path: str, file: str, **changes: object) -> ImageRow:
    """A usable image of 5 bytes that were 9."""
    made = ImageRow(
        path=path,
        file=file,
        status="resized",
        source="z.zip",
        source_format="PNG",
        source_width=4,
        source_height=3,
        source_bytes=9,
        format="JPEG",
        width=2,
        height=1,
        bytes=5,
        sha256="0" * 64,
        qwen2_vl_tokens=1,
        qwen3_vl_tokens=1,
        origin="o",
    )
    return msgspec.structs.replace(made, **changes)


def results(root: str, *batches: list[ImageRow]) -> list[str]:
    settings = Settings(root)
    return [images.write_rows(settings, f"f{at}", rows) for at, rows in enumerate(batches)]


def pairs(table: pa.Table) -> dict[str, str | None]:
    found = dict(zip(table["path"].to_pylist(), table["file"].to_pylist(), strict=True))
    assert len(found) == table.num_rows, "each path once"
    return found


def test_a_conversion_s_table_has_the_rows_of_all_its_results(root: str) -> None:
    names = results(
        root,
        [row("a.jpg", "images/a.1.jpg"), missing_row("gone.jpg")],
        [row("b.jpg", "images/b.1.jpg", status="kept", bytes=9)],
    )
    part, sums = image_table.write_whole(root, reversed(names))
    assert sums == ImageTotals({"image_missing": 1, "kept": 1, "resized": 1}, 18, 14)
    assert sum(sums.status.values()) == part.rows == 3
    data = files.read_bytes(files.join(root, part.path))
    assert (part.bytes, part.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    assert part.path.startswith(f"{layout.GENERATIONS}/")
    table = image_table.read(root, [part])
    assert table.schema.equals(TABLE_SCHEMA)
    assert pairs(table) == {
        "a.jpg": "images/a.1.jpg",
        "b.jpg": "images/b.1.jpg",
        "gone.jpg": None,
    }
    assert image_table.totals(table) == sums
    assert image_table.statistics(root, [part]) == images.statistics_of(table)
    assert image_table.write_whole(root, names) == (part, sums), "in whatever order"


def test_a_result_that_is_not_there_is_an_error(root: str) -> None:
    with pytest.raises(FileNotFoundError, match=r"f0(/|%2F)none"):
        image_table.write_whole(root, ["f0/none"])


def test_a_table_of_no_images(root: str) -> None:
    part, sums = image_table.write_whole(root, [])
    assert (part.rows, sums) == (0, ImageTotals({}, 0, 0))
    assert image_table.read(root, [part]).num_rows == 0
    assert image_table.read(root, []).schema.equals(TABLE_SCHEMA)


def test_tables_are_named_by_their_rows(root: str) -> None:
    one, two = (image_table.write_rows(root, table_of(some)) for some in (ONE, TWO))
    assert one.path != two.path
    assert image_table.write_rows(root, table_of(ONE)[::-1]) == one, "in whatever order"
    assert (one.rows, one.split) == (2, layout.IMAGES)


def test_the_last_row_of_a_path_counts(root: str) -> None:
    one, two = (image_table.write_rows(root, table_of(some)) for some in (ONE, TWO))
    assert pairs(image_table.read(root, [one, two])) == BOTH
    assert pairs(image_table.read(root, [two, one])) == {**TWO, **ONE}
    assert pairs(image_table.merge(table_of(ONE), table_of(TWO))) == BOTH
    assert pairs(image_table.merge(table_of(ONE), table_of({}))) == ONE
    read = image_table.read(root, [one, two])
    assert read["path"].to_pylist() == sorted(BOTH)


@pytest.mark.parametrize("number", [1, 2])
def test_the_view_has_the_rows_of_all_tables(root: str, number: int) -> None:
    parts = [image_table.write_rows(root, table_of(some)) for some in (ONE, TWO)][:number]
    view = image_table.write_view(root, parts)
    assert view.path == layout.IMAGE_TABLE
    assert view.rows == (2 if number == 1 else 3)
    rows = image_table.read(root, [view])
    assert pairs(rows) == (ONE if number == 1 else BOTH)
    if number == 1:
        assert (view.sha256, view.bytes) == (parts[0].sha256, parts[0].bytes)
    assert image_table.write_view(root, parts, image_table.read(root, parts)[::-1]) == view
    usable = {file for file in pairs(rows).values() if file}
    assert {file for file, _ in image_table.usable(root, view.path, "bytes")} == usable


def test_the_files_of_tables_are_of_all_rows(root: str) -> None:
    parts = [image_table.write_rows(root, table_of(some)) for some in (ONE, TWO)]
    assert image_table.files_of(root, [part.path for part in parts]) == {
        "images/a.1.png",
        "images/b.1.png",
        "images/b.2.png",
    }
    assert image_table.files_of(root, []) == set()


def test_statistics_are_counted_where_a_table_has_none(root: str) -> None:
    names = results(root, [row("a.jpg", "images/a.1.jpg")], [row("b.jpg", "images/b.1.jpg")])
    whole, _ = image_table.write_whole(root, names)
    rows = image_table.read(root, [whole])
    parts = [image_table.write_rows(root, rows[:1]), image_table.write_rows(root, rows[1:])]
    assert image_table.statistics(root, parts) == image_table.statistics(root, [whole])
    assert image_table.statistics(root, parts[:1]) == images.statistics_of(rows[:1])


def test_totals_are_of_usable_images() -> None:
    assert image_table.totals(table_of(BOTH)) == ImageTotals({"image_missing": 1, "kept": 2}, 6, 4)
    assert image_table.totals(table_of({})) == ImageTotals({}, 0, 0)


class Newer:
    """What shards have that a dataset has not."""

    def __init__(self, output: Path) -> None:
        self._output = str(output)

    def __call__(
        self, known: list[ImageRow], *shards: tuple[set[str], list[ImageRow]]
    ) -> dict[str, str | None]:
        (name,) = results(self._output, known)
        (table,) = [found for found, _ in images.read_rows(self._output, [name])]
        given = [(paths, results(self._output, rows)) for paths, rows in shards]
        return pairs(image_table.newer_rows(self._output, table, given))


@pytest.fixture
def newer(tmp_path: Path) -> Newer:
    return Newer(tmp_path)


OLD, NEW = row("a.jpg", "images/a.1.jpg"), row("a.jpg", "images/a.2.jpg")
GONE = missing_row("a.jpg")


def test_rows_that_are_known_are_not_new(newer: Newer) -> None:
    assert newer([OLD], ({"a.jpg"}, [OLD])) == {}
    assert newer([], ({"a.jpg"}, [OLD])) == {"a.jpg": "images/a.1.jpg"}
    assert newer([OLD], ({"a.jpg"}, [NEW])) == {"a.jpg": "images/a.2.jpg"}


def test_only_rows_that_records_name_are_new(newer: Newer) -> None:
    assert newer([], (set(), [OLD])) == {}
    assert newer([], ({"b.jpg"}, [OLD])) == {}


def test_an_image_that_was_there_once_does_not_become_missing(newer: Newer) -> None:
    assert newer([OLD], ({"a.jpg"}, [GONE])) == {}
    assert newer([], ({"a.jpg"}, [GONE])) == {"a.jpg": None}
    assert newer([GONE], ({"a.jpg"}, [OLD])) == {"a.jpg": "images/a.1.jpg"}


def test_a_usable_image_counts_before_a_missing_one(newer: Newer) -> None:
    for first, second in ((OLD, GONE), (GONE, OLD)):
        found = newer([], ({"a.jpg"}, [first]), ({"a.jpg"}, [second]))
        assert found == {"a.jpg": "images/a.1.jpg"}
    found = newer([], ({"a.jpg"}, [OLD]), ({"a.jpg"}, [NEW]))
    assert found == {"a.jpg": "images/a.2.jpg"}, "else the last one"


def test_the_view_is_parquet_with_the_documented_columns(tmp_path: Path) -> None:
    image_table.write_view(str(tmp_path), [image_table.write_rows(str(tmp_path), table_of(ONE))])
    schema = pq.read_schema(tmp_path / layout.IMAGE_TABLE)
    assert schema.names[:3] == ["path", "file", "status"]
    assert schema.names == TABLE_SCHEMA.names
