"""The images of a dataset, as its tables list them: images.parquet, or one a generation."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from mat_trainer.core.errors import ConfigError
from mat_trainer.core.manifest import unsafe
from mat_trainer.dataset.entry import IMAGES, File

NEEDS_PYARROW = "pyarrow is not installed here: pip install 'mat-trainer[worker]'"


def usable(tables: Iterable[Path]) -> list[File]:
    """Every image that lies below ``images/``: those with a hash.

    Args:
        tables: Oldest first; later ones win per path.

    Raises:
        ConfigError: pyarrow is not installed, a table is none, or a path leads elsewhere.
    """
    found: dict[str, File | None] = {}
    for table in tables:
        found |= _rows(table)
    return [file for file in found.values() if file is not None]


def _rows(table: Path) -> dict[str, File | None]:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise ConfigError([f"{table}: cannot be read, {NEEDS_PYARROW}"]) from None
    try:
        columns = pq.read_table(table, columns=["path", "bytes", "sha256"]).to_pydict()
    except (pa.ArrowException, KeyError) as error:
        raise ConfigError([f"{table}: not a table of images: {error}; convert again"]) from None
    rows = zip(columns["path"], columns["bytes"], columns["sha256"], strict=True)
    found = {
        path: File(f"{IMAGES}/{path}", size, sha256) if sha256 else None
        for path, size, sha256 in rows
    }
    files = [file for file in found.values() if file]
    if faults := [f"{table}: {fault}" for file in files if (fault := unsafe(file.path))]:
        raise ConfigError(faults[:20])
    return found
