"""Copies without some rows, of parts written here from real rows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mat_trainer.core.errors import PreflightError
from mat_trainer.core.recipe import Data
from mat_trainer.dataset import filtered, staging
from mat_trainer.dataset.filtered import leave_out
from mat_trainer.dataset.progress import silent
from mat_trainer.dataset.stage import StagedDataset, stage
from mat_trainer.dataset.verify import sha256_of

pq = pytest.importorskip("pyarrow.parquet", reason="comes with the extra worker")

from tests.dataset.making import GROUP_ROWS, make, rows_of  # noqa: E402 needs pyarrow

FORMATS = ("mat", "mat_parquet")


@pytest.fixture(scope="module")
def small(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Part a: image and text rows in turn, five of each; b: one image row, one text row."""
    rows = rows_of(dataset)
    images = [row for row in rows if row["images"]]
    texts = [row for row in rows if not row["images"]]
    mixed = [row for pair in zip(images[:5], texts[:5], strict=True) for row in pair]
    folder = tmp_path_factory.mktemp("filtered") / "mat"
    return make(dataset, folder, {"a": mixed, "b": [images[5], texts[5]]})


def staged(small: Path, tmp_path: Path, name: str) -> StagedDataset:
    return stage(str(small), tmp_path, Data(dataset=name), show=silent)


def read(folder: Path, path: str) -> list[dict[str, Any]]:
    file = folder / path
    if file.suffix == ".parquet":
        rows: list[dict[str, Any]] = pq.read_table(file).to_pylist()
        return rows
    return [json.loads(line) for line in file.read_text().splitlines()]


def part(dataset: StagedDataset, name: str) -> str:
    return next(p.path for p in dataset.training[0].parts if Path(p.path).stem == name)


@pytest.mark.parametrize("name", FORMATS)
def test_rows_are_left_out_and_nothing_else_changes(small: Path, tmp_path: Path, name: str) -> None:
    dataset = staged(small, tmp_path, name)
    a, b = part(dataset, "a"), part(dataset, "b")
    before = {path: (small / path).read_bytes() for path in (a, b)}
    copy = leave_out(dataset, {a: {1, 4, 9}, b: set()}, tmp_path, show=silent)
    rows = read(small, a)
    assert read(copy.path, a) == [rows[number] for number in (0, 2, 3, 5, 6, 7, 8)]
    assert read(copy.path, b) == read(small, b)
    assert before == {path: (small / path).read_bytes() for path in (a, b)}
    assert copy.media_dir == small
    assert copy.digest != dataset.digest
    assert copy.training[0].rows == 9
    for found in copy.training[0].parts:
        file = copy.path / found.path
        assert (file.stat().st_size, sha256_of(file)) == (found.bytes, found.sha256)


@pytest.mark.parametrize("name", FORMATS)
def test_the_copy_has_the_same_entry(small: Path, tmp_path: Path, name: str) -> None:
    dataset = staged(small, tmp_path, name)
    copy = leave_out(dataset, {part(dataset, "a"): {1}}, tmp_path, show=silent)
    registry = json.loads((copy.path / "dataset_info.json").read_bytes())
    assert registry == {name: json.loads((small / "dataset_info.json").read_bytes())[name]}


def test_a_part_that_loses_nothing_is_not_copied(small: Path, tmp_path: Path) -> None:
    dataset = staged(small, tmp_path, "mat_parquet")
    copy = leave_out(dataset, {part(dataset, "a"): {1}}, tmp_path, show=silent)
    assert (copy.path / part(dataset, "b")).resolve() == small / part(dataset, "b")
    assert not (copy.path / part(dataset, "a")).is_symlink()


def test_parquet_keeps_its_form(small: Path, tmp_path: Path) -> None:
    dataset = staged(small, tmp_path, "mat_parquet")
    a = part(dataset, "a")
    copy = leave_out(dataset, {a: {1}}, tmp_path, show=silent)
    old, new = pq.ParquetFile(small / a), pq.ParquetFile(copy.path / a)
    assert new.schema_arrow == old.schema_arrow
    assert old.num_row_groups == -(-10 // GROUP_ROWS)
    assert new.num_row_groups == 1  # nine rows; up to a hundred are one group


def test_a_part_without_rows_is_none(small: Path, tmp_path: Path) -> None:
    dataset = staged(small, tmp_path, "mat")
    copy = leave_out(dataset, {part(dataset, "b"): {0, 1}}, tmp_path, show=silent)
    assert [found.path for found in copy.training[0].parts] == [part(dataset, "a")]
    assert not (copy.path / part(dataset, "b")).exists()


@pytest.mark.parametrize("name", FORMATS)
def test_text_rows_that_lose_their_images_move_behind_others(
    small: Path, tmp_path: Path, name: str
) -> None:
    dataset = staged(small, tmp_path, name)
    a, b = part(dataset, "a"), part(dataset, "b")
    copy = leave_out(dataset, {b: {0}}, tmp_path, show=silent)
    assert [found.path for found in copy.training[0].parts] == [a]
    ids = sorted(row["id"] for row in read(copy.path, a))
    assert ids == sorted(row["id"] for row in [*read(small, a), read(small, b)[1]])
    assert read(copy.path, a)[0]["images"]


@pytest.mark.parametrize("name", FORMATS)
def test_a_part_goes_on_beginning_with_an_image_row(small: Path, tmp_path: Path, name: str) -> None:
    dataset = staged(small, tmp_path, name)
    a = part(dataset, "a")
    copy = leave_out(dataset, {a: {0}}, tmp_path, show=silent)
    rows = read(copy.path, a)
    assert rows[0]["images"]
    assert len(rows) == 9


def test_without_rows_to_leave_out_there_is_no_copy(small: Path, tmp_path: Path) -> None:
    dataset = staged(small, tmp_path, "mat")
    assert leave_out(dataset, {part(dataset, "a"): set()}, tmp_path, show=silent) is dataset
    assert not (tmp_path / "filtered").exists()


def test_a_copy_is_found_again(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = staged(small, tmp_path, "mat")
    a = part(dataset, "a")
    first = leave_out(dataset, {a: {1}}, tmp_path, show=silent)
    made = (first.path / a).stat().st_mtime_ns
    assert leave_out(dataset, {a: {1}}, tmp_path, show=silent) == first
    assert (first.path / a).stat().st_mtime_ns == made
    assert leave_out(dataset, {a: {2}}, tmp_path, show=silent).path != first.path


def test_a_copy_that_is_not_whole_is_made_anew(small: Path, tmp_path: Path) -> None:
    dataset = staged(small, tmp_path, "mat")
    a = part(dataset, "a")
    copy = leave_out(dataset, {a: {1}}, tmp_path, show=silent)
    content = (copy.path / a).read_bytes()
    (copy.path / a).unlink()
    leave_out(dataset, {a: {1}}, tmp_path, show=silent)
    assert (copy.path / a).read_bytes() == content


def test_a_copy_that_breaks_off_leaves_nothing_that_looks_like_one(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = staged(small, tmp_path, "mat")
    a = part(dataset, "a")
    with monkeypatch.context() as patch:
        patch.setattr(filtered, "sha256_of", lambda path: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            leave_out(dataset, {a: {1}}, tmp_path, show=silent)
    assert not [path for path in (tmp_path / "filtered").iterdir() if not path.suffix]
    assert leave_out(dataset, {a: {1}}, tmp_path, show=silent).training[0].rows == 11


def test_when_every_row_goes_that_is_an_error(small: Path, tmp_path: Path) -> None:
    dataset = staged(small, tmp_path, "mat")
    every = {found.path: set(range(found.rows)) for found in dataset.training[0].parts}
    with pytest.raises(PreflightError, match="every row exceeds cutoff_len"):
        leave_out(dataset, every, tmp_path, show=silent)


def test_space_is_checked_first(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = staged(small, tmp_path, "mat")
    monkeypatch.setattr(staging, "free_bytes", lambda folder: 10)
    with pytest.raises(PreflightError, match=r"GB more and 0\.00 GB are free"):
        leave_out(dataset, {part(dataset, "a"): {1}}, tmp_path, show=silent)
