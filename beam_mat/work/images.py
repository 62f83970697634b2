"""Converts images. A batch is read in a few ranges, and its images are converted in threads."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import msgspec

from beam_mat.core import layout
from beam_mat.core.geometry import QWEN2_VL, QWEN3_VL, tokens
from beam_mat.core.image import ImageFault, Picture, prepare
from beam_mat.core.image_path import image_file
from beam_mat.core.member import Member, Packing
from beam_mat.core.results import Wanted
from beam_mat.core.settings import Settings
from beam_mat.storage import files
from beam_mat.storage.catalog import fetch, load
from beam_mat.work import image_results
from beam_mat.work.image_results import ImageRow

TINY_BYTES = 4 << 10
"""Images with a smaller packed size are not converted in another thread."""

MISSING_BATCHES = 256
"""Number of batches of missing images. All rows of a batch are in memory together."""


class ConvertedBatch(NamedTuple):
    """The images of a batch: one row per image, sorted by path.

    `table` is the name of the image result that has these rows, `found` the number of images that
    an earlier run had converted.
    """

    rows: list[ImageRow]
    table: str
    found: int


def batch_of(path: str, member: Member | None) -> str:
    """Returns the name of an image's batch. The images of a batch are read together.

    `path` is the published path, `member` None if no source has the image.
    """
    if member is None:
        digest = hashlib.sha256(path.encode()).digest()
        return f"missing {digest[0] % MISSING_BATCHES}"
    source = "" if member.packing is Packing.FILE else member.source
    return f"{member.order} {member.batch} {source}"


def convert_batch(
    settings: Settings,
    batch: str,
    wanted: Sequence[Wanted],
    source_of: Callable[[Member], tuple[str, str]],
    done: Callable[[int], object],
) -> ConvertedBatch:
    """Converts the images of a batch that no earlier run has converted.

    Args:
        settings: The settings.
        batch: Name from `batch_of`.
        wanted: The images of this batch.
        source_of: Returns URI and version of a member's source.
        done: Is called with the number of images that were finished since the last call.

    Raises:
        SourceError: A source changed while it was read.
    """
    members = [item.member for item in wanted if item.member]
    uri, version = source_of(members[0]) if members else ("", "")
    folder = image_results.folder_of(settings, uri, version, batch.split(" ", 2)[1])
    digest = settings.image_digest()
    origins = {member.path: member.origin(source_of(member)[1], digest) for member in members}
    found = image_results.find(settings, folder, origins)
    done(len(found))
    rows = [image_results.missing(item.path) for item in wanted if item.member is None]
    rows += found.values()
    with files.Outbox() as outbox:
        todo = [member for member in members if member.path not in found]
        for row in _convert(settings, todo, outbox, done):
            rows.append(msgspec.structs.replace(row, origin=origins[row.path]))
    rows.sort(key=lambda row: row.path)
    return ConvertedBatch(rows, image_results.write(settings, folder, rows), len(found))


def _convert(
    settings: Settings, members: list[Member], outbox: files.Outbox, done: Callable[[int], object]
) -> Iterator[ImageRow]:
    def one(pair: tuple[Member, Any]) -> ImageRow:
        row = convert(settings, *pair, outbox)
        done(1)
        return row

    # Pillow and the resizer release the interpreter lock, so threads use every core. Tiny images
    # are faster without threads.
    tiny, large = [], []
    for pair in fetch(members):
        if pair[0].packed < TINY_BYTES:
            tiny.append(pair)
        else:
            large.append(pool(settings.image_threads).submit(one, pair))
    yield from map(one, tiny)
    yield from (future.result() for future in large)


def convert(
    settings: Settings, member: Member, found: memoryview | ImageFault, outbox: files.Outbox
) -> ImageRow:
    """Checks, resizes and writes one image. `found` is its data or fault from `fetch`."""
    data = load(member, found)
    if isinstance(data, ImageFault):
        return _faulty(member, data)
    picture = prepare(data, settings.budget, apply_exif=settings.apply_exif)
    if isinstance(picture, ImageFault):
        return _faulty(member, picture)
    sha256 = hashlib.sha256(picture.data).hexdigest()
    file = image_file(member.path, sha256, picture.format)
    scratch = files.join(settings.output, layout.SCRATCH)
    outbox.write_bytes_new(files.join(settings.output, file), picture.data, sha256, scratch)
    return _row(member, picture, file, sha256)


def _faulty(member: Member, fault: ImageFault) -> ImageRow:
    detail = f"{member.path!r}: {fault.detail}"
    return ImageRow(
        member.path, None, fault.reason.value, detail, member.source, source_bytes=member.size
    )


def _row(member: Member, picture: Picture, file: str, sha256: str) -> ImageRow:
    return ImageRow(
        path=member.path,
        file=file,
        status=picture.action.value,
        source=member.source,
        source_format=picture.source_format,
        source_width=picture.source_size[0],
        source_height=picture.source_size[1],
        source_bytes=member.size,
        format=picture.format,
        width=picture.size[0],
        height=picture.size[1],
        bytes=len(picture.data),
        sha256=sha256,
        qwen2_vl_tokens=tokens(picture.size, QWEN2_VL),
        qwen3_vl_tokens=tokens(picture.size, QWEN3_VL),
    )


@functools.cache
def pool(threads: int) -> ThreadPoolExecutor:
    """Returns the one pool of this process, which all bundles share."""
    return ThreadPoolExecutor(threads, thread_name_prefix="image")
