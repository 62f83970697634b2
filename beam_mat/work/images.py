"""Converts images. A batch is read in a few ranges, and its images are converted in threads.

A batch has a folder for its results, which are rows of images.parquet. The folder's name is a hash
of the source, its version, the byte range of the batch and the settings. Each call that converts
images of the batch writes one file to this folder. The file has exactly the requested rows, and its
name is a hash of them. The image tables of a dataset are made from these files.
"""

import functools
import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, get_args

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from beam_mat.core import layout
from beam_mat.core.errors import LostRecordError
from beam_mat.core.geometry import QWEN2_VL, QWEN3_VL, tokens
from beam_mat.core.image import ImageFault, Picture, prepare
from beam_mat.core.member import Member, Packing
from beam_mat.core.reject import Reason
from beam_mat.core.results import ImageOutcome, Wanted
from beam_mat.core.settings import Settings
from beam_mat.core.statistics import ImageFile, ImageStatistics
from beam_mat.storage import files
from beam_mat.storage.catalog import fetch, load
from beam_mat.storage.parts import parquet_writer

TINY_BYTES = 4 << 10
"""Images with a smaller packed size are not converted in another thread."""

MISSING_BATCHES = 256
"""Number of batches of missing images. All rows of a batch are in memory together."""


class ImageRow(msgspec.Struct, frozen=True):
    """A row of images.parquet. Values that are unknown for a faulty image are None.

    `status` is kept, resized, converted or a faulty image's `Reason`. `origin` is `Member.origin`;
    it is not in images.parquet.
    """

    path: str
    file: str | None
    status: str
    detail: str | None = None
    source: str | None = None
    source_format: str | None = None
    source_width: int | None = None
    source_height: int | None = None
    source_bytes: int | None = None
    format: str | None = None
    width: int | None = None
    height: int | None = None
    bytes: int | None = None
    sha256: str | None = None
    qwen2_vl_tokens: int | None = None
    qwen3_vl_tokens: int | None = None
    origin: str | None = None

    def outcome(self) -> ImageOutcome:
        """Returns the outcome for records that use this image."""
        if self.file is not None:
            counts = (self.qwen2_vl_tokens or 0, self.qwen3_vl_tokens or 0)
            return ImageOutcome(self.path, file=self.file, tokens=counts)
        return ImageOutcome(self.path, ImageFault(Reason(self.status), self.detail or ""))


def _arrow_type(field: msgspec.structs.FieldInfo) -> pa.DataType:
    if int not in (field.type, *get_args(field.type)):
        return pa.string()
    return pa.int64() if field.name.endswith("bytes") else pa.int32()


RESULT_SCHEMA = pa.schema(
    [(field.name, _arrow_type(field)) for field in msgspec.structs.fields(ImageRow)]
)
"""Schema of a result. It has the origin of each row, so that a later run can reuse the row."""

TABLE_SCHEMA = RESULT_SCHEMA.remove(RESULT_SCHEMA.get_field_index("origin"))
"""Schema of images.parquet."""

STATISTICS = b"statistics"
"""Key in a file's metadata, so that the driver need not compute statistics from all images."""


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
) -> tuple[list[ImageRow], str]:
    """Converts the `wanted` images of a batch, except those that an earlier run has converted.

    `source_of` returns URI and version of a member's source. `done` is called with the number of
    images that were finished since the last call, first with those of earlier runs. Returns one row
    per image, sorted by path, and the name of the image result that has these rows. Raises
    SourceError if a source changed while it was read.
    """
    members = [item.member for item in wanted if item.member]
    uri, version = source_of(members[0]) if members else ("", "")
    folder = folder_of(settings, uri, version, batch.split(" ", 2)[1])
    digest = settings.image_digest()
    origins = {member.path: member.origin(source_of(member)[1], digest) for member in members}
    found = find_rows(settings, folder, origins)
    done(len(found))
    rows = [missing_row(item.path) for item in wanted if item.member is None]
    rows += found.values()
    with files.Outbox() as outbox:
        todo = [member for member in members if member.path not in found]
        for row in _convert(settings, todo, outbox, done):
            rows.append(msgspec.structs.replace(row, origin=origins[row.path]))
    rows.sort(key=lambda row: row.path)
    return rows, write_rows(settings, folder, rows)


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
        picture: Picture | ImageFault = data
    else:
        picture = prepare(data, settings.budget, apply_exif=settings.apply_exif)
    if isinstance(picture, ImageFault):
        detail = f"{member.path!r}: {picture.detail}"
        status = picture.reason.value
        return ImageRow(member.path, None, status, detail, member.source, source_bytes=member.size)
    sha256 = hashlib.sha256(picture.data).hexdigest()
    file = layout.image_file(member.path, sha256, picture.format)
    scratch = files.join(settings.output, layout.SCRATCH)
    outbox.write_bytes_new(files.join(settings.output, file), picture.data, sha256, scratch)
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


def missing_row(path: str) -> ImageRow:
    """Returns the row of an image that no source has."""
    detail = f"{path!r} is in none of the image sources"
    return ImageRow(path, None, Reason.IMAGE_MISSING.value, detail)


def folder_of(settings: Settings, root: str, version: str, batch: str) -> str:
    """Returns the name of a batch's folder.

    `root` is the URI of the source, `version` its version if it is a zip: files in a folder have
    their own versions. `batch` identifies the batch in its source.
    """
    key = msgspec.json.encode([settings.image_digest(), root, version, batch])
    return hashlib.sha256(key).hexdigest()[:16]


def uri_of(output: str, name: str) -> str:
    """Returns the URI of a result. Its name has the batch's folder and a hash of its rows."""
    return files.join(output, layout.IMAGE_RESULTS, f"{name}.parquet")


def write_rows(settings: Settings, folder: str, rows: Sequence[ImageRow]) -> str:
    """Writes rows, sorted by path, to a batch's folder. Returns the name of the result."""
    key = hashlib.sha256(msgspec.json.encode(rows)).hexdigest()[:24]
    name = f"{folder}/{key}"
    uri = uri_of(settings.output, name)
    if settings.resume and files.exists(uri):
        return name
    table = pa.Table.from_pylist(msgspec.to_builtins(list(rows)), RESULT_SCHEMA)
    schema = RESULT_SCHEMA.with_metadata({STATISTICS: msgspec.json.encode(statistics_of(table))})
    with (
        files.write_new(uri, files.join(settings.output, layout.SCRATCH)) as file,
        parquet_writer(file, schema) as writer,
    ):
        writer.write_table(table.cast(schema))
    return name


def find_rows(settings: Settings, folder: str, origins: Mapping[str, str]) -> dict[str, ImageRow]:
    """Returns the rows of earlier runs that are still valid, by path.

    A row is valid if its image was made from the same member, as its entry in `origins` (by path)
    says, and its file exists with its size.
    """
    if not settings.resume or not origins:
        return {}
    rows: dict[str, ImageRow] = {}
    found = files.find(files.join(settings.output, layout.IMAGE_RESULTS, folder))
    for data in files.read_each(file.uri for _, file in found):
        for values in pq.read_table(pa.BufferReader(data), schema=RESULT_SCHEMA).to_pylist():
            path = values["path"]
            if path in origins and origins[path] == values["origin"]:
                rows[path] = ImageRow(**values)
    usable = [row for row in rows.values() if row.file is not None]
    uris = [files.join(settings.output, row.file or "") for row in usable]
    for row, size in zip(usable, files.sizes(uris), strict=True):
        if size != row.bytes:
            del rows[row.path]
    return rows


def read_rows(output: str, names: Iterable[str]) -> Iterator[tuple[pa.Table, ImageStatistics]]:
    """Yields the rows of results, as in images.parquet, and their statistics.

    Raises FileNotFoundError if one does not exist, and LostRecordError if another version of this
    package wrote it.
    """
    for data in files.read_each(uri_of(output, name) for name in names):
        file = pq.ParquetFile(pa.BufferReader(data))
        found = (file.schema_arrow.metadata or {}).get(STATISTICS)
        if found is None:
            raise LostRecordError("another version of beam-mat wrote the results of some images")
        statistics = msgspec.json.decode(found, type=ImageStatistics)
        yield file.read(TABLE_SCHEMA.names).replace_schema_metadata(), statistics


def statistics_of(table: pa.Table) -> ImageStatistics:
    """Returns the statistics of the usable images among rows of images.parquet."""
    statistics = ImageStatistics()
    columns = ("format", "width", "height", "bytes")
    before = zip(*(table[f"source_{name}"].to_pylist() for name in columns), strict=True)
    after = zip(*(table[name].to_pylist() for name in columns), strict=True)
    for was, now in zip(before, after, strict=True):
        if now[0] is not None:
            statistics.add(ImageFile(*was), ImageFile(*now))
    return statistics.ordered()
