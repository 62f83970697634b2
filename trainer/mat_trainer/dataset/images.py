"""The images of a dataset, as its tables list them: images.parquet, or those of the commits."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mat_trainer.core.errors import ConfigError
from mat_trainer.core.manifest import check_paths
from mat_trainer.dataset.entry import File

_FOLDER = "images/"
_COLUMNS = ("path", "file", "bytes", "sha256")


def pyarrow() -> tuple[Any, Any]:
    """The modules pyarrow and pyarrow.parquet, which submitting does not need.

    Raises:
        ConfigError: They are not installed.
    """
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise ConfigError("pyarrow is not installed: pip install 'mat-trainer[worker]'") from None
    return pa, pq


def usable(tables: Iterable[Path]) -> list[File]:
    """The file of every usable image.

    Args:
        tables: In order: for each published path, the last table that has it counts.

    Raises:
        ConfigError: pyarrow is not installed, or a table is damaged or has an unsafe path.
    """
    found: dict[str, File | None] = {}
    for table in tables:
        found |= _rows(table)
    return [file for file in found.values() if file is not None]


def _rows(table: Path) -> dict[str, File | None]:
    pa, pq = pyarrow()
    try:
        columns = pq.read_table(table, columns=list(_COLUMNS)).to_pydict()
        rows = list(zip(*(columns[name] for name in _COLUMNS), strict=True))
    except (pa.ArrowException, KeyError) as error:
        raise ConfigError(f"{table}: not a table of images ({error}); convert again") from None
    named = [file for _, file, _, _ in rows if file]
    check_paths(named, str(table))
    if alien := next((file for file in named if not file.startswith(_FOLDER)), None):
        why = f"is not in {_FOLDER}; do not train on this dataset"
        raise ConfigError(f"{table}: {alien[:200]!r} {why}")
    return {path: File(file, size, sha256) if file else None for path, file, size, sha256 in rows}
