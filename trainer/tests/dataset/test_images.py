from pathlib import Path

import pytest

from mat_trainer.core.errors import ConfigError
from mat_trainer.dataset.images import usable

pa = pytest.importorskip("pyarrow", reason="comes with the extra worker")
pq = pytest.importorskip("pyarrow.parquet", reason="comes with the extra worker")


def table(folder: Path, *rows: tuple[str, int | None, str | None]) -> Path:
    columns: dict[str, list[object]] = {"path": [], "file": [], "bytes": [], "sha256": []}
    for path, size, sha256 in rows:
        file = f"images/{path}.{sha256}.jpg" if sha256 else None
        for column, value in zip(columns.values(), (path, file, size, sha256), strict=True):
            column.append(value)
    pq.write_table(pa.table(columns), folder / "images.parquet")
    return folder / "images.parquet"


def test_images_with_a_file_are_needed(tmp_path: Path) -> None:
    (file,) = usable([table(tmp_path, ("a/1.jpg", 3, "00"), ("a/2.jpg", None, None))])
    assert (file.path, file.bytes, file.sha256) == ("images/a/1.jpg.00.jpg", 3, "00")


def test_a_path_that_leads_elsewhere_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="leads out of the dataset's folder"):
        usable([table(tmp_path, ("../../1.jpg", 3, "00"))])


def test_later_tables_win_also_where_an_image_is_no_longer_usable(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("1", "2")]
    for folder in folders:
        folder.mkdir()
    tables = [
        table(folders[0], ("1.jpg", 3, "00"), ("2.jpg", 3, "00"), ("3.jpg", 3, "00")),
        table(folders[1], ("2.jpg", 4, "11"), ("3.jpg", None, None), ("4.jpg", 5, "22")),
    ]
    found = [file.path.removeprefix("images/") for file in usable(tables)]
    assert found == ["1.jpg.00.jpg", "2.jpg.11.jpg", "4.jpg.22.jpg"]


def test_what_is_no_table_is_told(tmp_path: Path) -> None:
    (tmp_path / "images.parquet").write_bytes(b"PAR1")
    with pytest.raises(ConfigError, match="not a table of images"):
        usable([tmp_path / "images.parquet"])
