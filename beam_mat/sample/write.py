"""Writing the sample to a folder: JSON shards and one zip, piece by piece."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from beam_mat.core.reject import Reason
from beam_mat.sample.archive import SampleZip, sample_zip
from beam_mat.sample.faults import Faulty
from beam_mat.sample.faulty_images import add_faulty_members, faulty_images
from beam_mat.sample.faulty_records import broken_shard, faulty_records
from beam_mat.sample.pictures import MAX_PICTURES, picture
from beam_mat.sample.records import element, records, repeats


@dataclass(frozen=True)
class SampleSummary:
    """What was written, and what a conversion of it will say.

    Attributes:
        shards: The JSON files.
        image_zip: The zip of images.
        records: Records in, as the converter counts them: elements of arrays, and one for the
            tail of a shard that breaks off.
        rejected: Reason -> records that are rejected with ``--duplicates keep``. All others are
            accepted.
        duplicates: How many more are rejected with ``--duplicates drop``.
    """

    shards: tuple[Path, ...]
    image_zip: Path
    records: int
    rejected: Mapping[Reason, int] = field(default_factory=dict)
    duplicates: int = 0


def write_sample(
    folder: Path,
    *,
    records: int = 40,
    images: int = 30,
    shards: int = 1,
    seed: int = 0,
    faults: bool = False,
) -> SampleSummary:
    """Write a MAT-shaped set: ``mat_train*.json`` and ``files.zip``.

    The same arguments give the same bytes (with the same versions of Python, Pillow and zlib).
    Records and pictures are written one by one, so that memory does not grow with the set.

    Args:
        folder: Made where it is missing; must be empty.
        records: Sound records, some of them with the id of an earlier one.
        images: Sound images in the zip; without any, every record is text only.
        shards: JSON files that share the records.
        seed: Another seed gives other tasks and other pictures.
        faults: Add records and images for every `Reason`, the most of them to the first shard,
            and a shard ``mat_train-broken.json`` that breaks off.

    Raises:
        ValueError: A number is out of range.
        FileExistsError: The folder is not empty, or is a file.
    """
    _check(records, images, shards)
    _check_empty(folder)
    folder.mkdir(parents=True, exist_ok=True)
    extra = [*faulty_records(seed), *faulty_images(seed)] if faults else []
    paths = _write_shards(folder, seed, records, images, shards, extra)
    rejected = Counter(one.reason for one in extra if one.reason is not None)
    total = records + len(extra)
    if faults:
        paths.append(folder / "mat_train-broken.json")
        paths[-1].write_bytes(broken_shard(seed))
        rejected[Reason.MALFORMED_JSON] += 1
        total += 3
    image_zip = folder / "files.zip"
    with sample_zip(image_zip) as archive:
        _add_pictures(archive, seed, images)
        if faults:
            add_faulty_members(seed, archive)
    return SampleSummary(
        shards=tuple(paths),
        image_zip=image_zip,
        records=total,
        rejected=dict(rejected),
        duplicates=repeats(records) + sum(one.repeats_id for one in extra),
    )


def _write_shards(
    folder: Path, seed: int, count: int, images: int, shards: int, extra: list[Faulty]
) -> list[Path]:
    sound = ([element(record)] for record in records(seed, count, images))
    paths = []
    for shard in range(shards):
        name = "mat_train.json" if shards == 1 else f"mat_train-{shard:05}.json"
        paths.append(folder / name)
        size = count * (shard + 1) // shards - count * shard // shards
        part: Iterator[Iterable[bytes]] = islice(sound, size)
        if shard == 0:
            part = _alternately(part, (one.pieces for one in extra))
        _write_array(paths[-1], part)
    return paths


def _alternately(
    first: Iterator[Iterable[bytes]], second: Iterator[Iterable[bytes]]
) -> Iterator[Iterable[bytes]]:
    """One of each in turn, so that a fault stands between sound records; then the rest."""
    for one in first:
        yield one
        yield from islice(second, 1)
    yield from second


def _write_array(path: Path, elements: Iterator[Iterable[bytes]]) -> None:
    with path.open("xb") as file:
        file.write(b"[")
        between = b"\n"
        for pieces in elements:
            file.write(between)
            file.writelines(pieces)
            between = b",\n"
        file.write(b"\n]" if between == b",\n" else b"]")


def _add_pictures(archive: SampleZip, seed: int, images: int) -> None:
    # The published zip is in the order of its names, so that neighbours in the JSON are far apart.
    for index in sorted(range(images), key=lambda index: picture(seed, index).member):
        drawn = picture(seed, index)
        archive.add(drawn.member, drawn.encoded())


def _check(records: int, images: int, shards: int) -> None:
    if records < 0:
        raise ValueError(f"records is {records}; it must be 0 or more.")
    if not 0 <= images <= MAX_PICTURES:
        raise ValueError(f"images is {images}; it must be from 0 to {MAX_PICTURES}.")
    if shards < 1:
        raise ValueError(f"shards is {shards}; it must be 1 or more.")


def _check_empty(folder: Path) -> None:
    if folder.is_dir() and any(folder.iterdir()):
        raise FileExistsError(f"{folder} is not empty; name a new folder or empty this one first.")
    if folder.exists() and not folder.is_dir():
        raise FileExistsError(f"{folder} is a file; name a new folder.")
