"""Reads the data for the page from a dataset on any store."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from PIL import Image

from beam_mat.core import layout
from beam_mat.core.errors import BeamMatError, ConfigError
from beam_mat.dataset import manifest as manifests
from beam_mat.dataset.manifest import Manifest
from beam_mat.report.findings import Example, Findings
from beam_mat.storage import files

MAX_PICTURES = 4
"""Images of a trajectory that the page shows. For the others it shows only the path."""
SIDE = 176
"""Pixels of a thumbnail's longer side. The page shows it at most this large."""
QUALITY = 62
THREADS = 8


class Thumbnail(msgspec.Struct, frozen=True):
    """A small JPEG as a data URL, its width and height, and those of the original, in pixels."""

    url: str
    size: tuple[int, int]
    full_size: tuple[int, int]


class ReportData(msgspec.Struct, frozen=True):
    """All data that the page shows. `thumbnails` has the images that can be read, by path."""

    manifest: Manifest
    findings: Findings
    thumbnails: dict[str, Thumbnail]


def read(output: str) -> ReportData:
    """Reads a published dataset.

    Raises:
        ConfigError: There is no finished dataset, or another version of beam-mat wrote it.
    """
    manifest = manifests.read(output)
    if manifest is None:
        fault = f"{output} has no {layout.MANIFEST}, so it is not a finished dataset"
        raise ConfigError([f"{fault}; run beam-mat convert until it finishes"])
    uri = files.join(output, layout.STATISTICS)
    cure = "run the same beam-mat convert command again with --overwrite"
    try:
        findings = msgspec.json.decode(files.read_bytes(uri), type=Findings)
    except FileNotFoundError:
        raise ConfigError([f"{uri} does not exist; {cure}"]) from None
    except msgspec.DecodeError as error:
        why = f"was not written by this version of beam-mat ({error})"
        raise ConfigError([f"{uri} {why}; {cure}"]) from error
    return collect(output, manifest, findings)


def collect(output: str, manifest: Manifest, findings: Findings) -> ReportData:
    """Adds the thumbnails of the examples, whose images are read from the dataset at `output`.

    The dataset's manifest and its statistics.json need not be written yet.
    """
    paths = dict.fromkeys(path for one in findings.examples for path in images_of(one))
    return ReportData(manifest, findings, dict(_thumbnails(output, list(paths))))


def images_of(example: Example) -> list[str]:
    """The paths of the images of an example that the page shows, each once."""
    paths = dict.fromkeys(path for turn in example.turns for path in turn.images)
    return list(paths)[:MAX_PICTURES]


def _thumbnails(output: str, paths: list[str]) -> Iterator[tuple[str, Thumbnail]]:
    def made(path: str) -> Thumbnail | None:
        try:
            return _thumbnail(files.read_bytes(files.join(output, named[path])))
        except (KeyError, OSError, BeamMatError):  # `verify` reports damaged images
            return None

    named = _files(output, paths)
    with ThreadPoolExecutor(THREADS, thread_name_prefix="thumbnail") as pool:
        for path, small in zip(paths, pool.map(made, paths), strict=True):
            if small:
                yield path, small


def _thumbnail(data: bytes) -> Thumbnail:
    with Image.open(io.BytesIO(data), formats=("JPEG", "PNG")) as image:
        full_size = image.size
        image.draft("RGB", (2 * SIDE, 2 * SIDE))
        small = image.convert("RGB")
    small.thumbnail((SIDE, SIDE), Image.Resampling.BICUBIC)
    out = io.BytesIO()
    small.save(out, "JPEG", quality=QUALITY)
    url = "data:image/jpeg;base64," + base64.b64encode(out.getvalue()).decode()
    return Thumbnail(url, small.size, full_size)


def _files(output: str, paths: list[str]) -> dict[str, str]:
    """Returns the image files of published paths, as far as images.parquet has them."""
    wanted = pa.array(paths, pa.string())
    found: dict[str, str] = {}
    with files.open_binary(files.join(output, layout.IMAGE_TABLE)) as file:
        for batch in pq.ParquetFile(file).iter_batches(columns=["path", "file"]):
            rows = batch.filter(pc.is_in(batch["path"], value_set=wanted)).to_pylist()
            found.update((row["path"], row["file"]) for row in rows if row["file"])
    return found
