"""Caches the inputs in benchmarks/.cache until their sources change."""

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
    """The folder `name`, which `make(folder)` filled from the files `sources`.

    The folder is made again if a source (its path, size or time) or the code of a maker has
    changed. It appears under its name only when it is complete.
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
    """A temporary empty folder for the output of one run, on the same disk as the inputs."""
    runs = CACHE / "runs"
    runs.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=runs))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
