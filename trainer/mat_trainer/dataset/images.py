"""The images of a dataset, as its images.parquet lists them."""

from __future__ import annotations

from pathlib import Path

from mat_trainer.core.errors import ConfigError
from mat_trainer.core.manifest import unsafe
from mat_trainer.dataset.entry import IMAGES, File

NEEDS_PYARROW = "pyarrow is not installed here: pip install 'mat-trainer[worker]'"


def usable(table: Path) -> list[File]:
    """Every image that lies below ``images/``: those with a hash.

    Raises:
        ConfigError: pyarrow is not installed, the table is none, or a path leads elsewhere.
    """
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
    found = [File(f"{IMAGES}/{path}", size, sha256) for path, size, sha256 in rows if sha256]
    if faults := [f"{table}: {fault}" for file in found if (fault := unsafe(file.path))]:
        raise ConfigError(faults[:20])
    return found
