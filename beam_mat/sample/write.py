"""Writes the sample to a folder: JSON shards and one zip."""

from __future__ import annotations

import itertools
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from beam_mat.core.reject import Reason
from beam_mat.sample import records as valid
from beam_mat.sample.data import FAULTY_RECORDS, MAX_PICTURES, FaultyRecord, body, picture


@dataclass(frozen=True)
class SampleSummary:
    """The files that were written, and the counts that a conversion of them reports.

    `records` counts as the converter does: the elements of all arrays, where the truncated end of a
    shard counts as one. `rejected` has the number of records by reason with ``--duplicates keep``;
    ``--duplicates drop`` rejects `duplicates` more.
    """

    shards: tuple[Path, ...]
    image_zip: Path
    records: int
    rejected: Mapping[Reason, int]
    duplicates: int


def write_sample(
    folder: Path,
    *,
    records: int = 40,
    images: int = 30,
    shards: int = 1,
    seed: int = 0,
    faults: bool = False,
) -> SampleSummary:
    """Writes a set in the shape of MAT to a new folder: ``mat_train*.json`` and ``files.zip``.

    The same arguments give the same bytes on every machine, and another seed gives another set.
    Records and pictures are written one by one, so memory use does not grow with the set.

    `records` and `images` are the numbers of valid ones. Some records have the id of an earlier
    one; without images, every record is text only. With `faults`, there are also invalid records
    and images for every `Reason`: most of them in the first shard, and a truncated shard
    ``mat_train-broken.json``.

    Raises:
        ValueError: `records`, `images` or `shards` is out of range.
        FileExistsError: The folder is not empty, or is a file.
    """
    _check(folder, records, images, shards)
    folder.mkdir(parents=True, exist_ok=True)
    extra = FAULTY_RECORDS if faults else ()
    elements = map(valid.element, valid.records(seed, records, images))
    paths = []
    for shard in range(shards):
        paths.append(folder / ("mat_train.json" if shards == 1 else f"mat_train-{shard:05}.json"))
        size = records * (shard + 1) // shards - records * shard // shards
        part = itertools.islice(elements, size)
        # One of each in turn, so that each invalid record is between valid ones; then the rest.
        mixed = itertools.zip_longest(part, map(_faulty, extra if shard == 0 else ()))
        _write_array(paths[-1], (one for pair in mixed for one in pair if one is not None))
    rejected = Counter(fault.reason for fault in extra if fault.reason)
    total = records + len(extra)
    if faults:
        paths.append(folder / "mat_train-broken.json")
        paths[-1].write_bytes(body("data/broken_shard.json"))
        rejected[Reason.MALFORMED_JSON] += 1
        total += 3
    image_zip = folder / "files.zip"
    _write_zip(image_zip, seed, images, body("data/faulty.zip") if faults else b"")
    return SampleSummary(
        shards=tuple(paths),
        image_zip=image_zip,
        records=total,
        rejected=dict(rejected),
        duplicates=valid.repeats(records) + (1 if faults else 0),
    )


def _faulty(fault: FaultyRecord) -> bytes:
    old, new = (text.encode("latin-1") for text in fault.replace)
    made = valid.element(fault.value)
    return made.replace(old, new * fault.times, 1) if old else made


def _write_array(path: Path, elements: Iterator[bytes]) -> None:
    with path.open("xb") as file:
        before = b"["
        for one in elements:
            file.write(before + b"\n" + one)
            before = b","
        file.write(b"[]" if before == b"[" else b"\n]")


def _write_zip(path: Path, seed: int, images: int, before: bytes) -> None:
    path.write_bytes(before)
    with zipfile.ZipFile(path, "a") as archive:
        # The published zip is sorted by name, so neighbours in the JSON are far apart in the zip.
        for index in sorted(range(images), key=lambda index: picture(seed, index).member):
            shown = picture(seed, index)
            info = zipfile.ZipInfo(shown.member, (2024, 12, 10, 0, 0, 0))
            info.compress_type = zipfile.ZIP_DEFLATED
            info.create_system = 3
            info.external_attr = 0o100600 << 16
            # At level 0 every zlib gives the same bytes.
            archive.writestr(info, shown.encoded(), compresslevel=0)


def _check(folder: Path, records: int, images: int, shards: int) -> None:
    if records < 0:
        raise ValueError(f"records is {records}; it must be 0 or more.")
    if not 0 <= images <= MAX_PICTURES:
        raise ValueError(f"images is {images}; it must be from 0 to {MAX_PICTURES}.")
    if shards < 1:
        raise ValueError(f"shards is {shards}; it must be 1 or more.")
    if folder.is_dir() and any(folder.iterdir()):
        cure = "choose a new folder or empty this one first."
        raise FileExistsError(f"{folder} is not empty; {cure}")
    if folder.exists() and not folder.is_dir():
        raise FileExistsError(f"{folder} is a file; choose a new folder.")
