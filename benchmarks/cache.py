"""Inputs are made once under benchmarks/.cache and kept until what they are made from changes."""

import hashlib
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
CACHE = HERE / ".cache"
MAKERS = ("charts.py", "make_images.py", "make_records.py")


def cached(name: str, sources: Iterable[Path], make: Callable[[Path], None]) -> Path:
    """Folder `name` as `make(folder)` filled it from the files `sources`.

    Made anew when a source (by name, size and time) or a maker's code has changed; the folder
    appears under its name only when it is complete.
    """
    digest = hashlib.sha256()
    for maker in MAKERS:
        digest.update((HERE / maker).read_bytes())
    for source in sources:
        stat = source.stat()
        digest.update(f"{source.resolve()} {stat.st_size} {stat.st_mtime_ns}\n".encode())
    folder = CACHE / "inputs" / f"{name}-{digest.hexdigest()[:12]}"
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    for old in folder.parent.glob(f"{name}-*"):
        shutil.rmtree(old)
    making = Path(tempfile.mkdtemp(prefix="making-", dir=folder.parent))
    try:
        make(making)
        making.rename(folder)
    except BaseException:
        shutil.rmtree(making, ignore_errors=True)
        raise
    return folder


@contextmanager
def fresh_folder() -> Iterator[Path]:
    """An empty folder for one run's output, on the inputs' disk, gone afterwards."""
    runs = CACHE / "runs"
    runs.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=runs))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
