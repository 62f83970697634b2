"""Converts batches of images, in worker processes, and stores the results.

A batch has a folder for its results, which are rows of images.parquet. The folder's name is a hash
of the source, its version, the byte range of the batch and the settings. Each call that converts
images of the batch writes one file to this folder. The file has exactly the requested rows, and its
name is a hash of them. The image tables of a dataset are made from these files.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import get_args

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from beam_mat.core import layout
from beam_mat.core.errors import LostRecordError
from beam_mat.core.image import ImageFault
from beam_mat.core.member import Member, Packing
from beam_mat.core.reject import Reason
from beam_mat.core.results import Source, Wanted
from beam_mat.core.settings import Settings
from beam_mat.core.statistics import ImageFile, ImageStatistics
from beam_mat.storage import catalog, files
from beam_mat.storage.catalog import fetch, load
from beam_mat.storage.parts import parquet_writer
from beam_mat.work.convert_image import (
    ImageRow,
    Job,
    Original,
    convert_image,
    fault_row,
    missing_row,
)
from beam_mat.work.workers import Death, Workers, workers

MODULES = ("beam_mat.work.convert_image", "beam_mat.core.jpeg", "beam_mat.core.png")
"""What image workers have imported when they begin."""

MISSING_BATCHES = 256
"""Number of batches of missing images. All rows of a batch are in memory together."""


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


def list_members(settings: Settings, source: Source) -> Iterator[Member]:
    """Yields the members of an image source, see `storage.catalog.members`."""
    return catalog.members(
        source.uri,
        source.order,
        prefix=source.prefix,
        encoding=settings.zip_encoding,
        work=files.join(settings.output, layout.UNPACKED),
        scratch=files.join(settings.output, layout.SCRATCH),
    )


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
    missing = (item for item in wanted if item.member is None)
    rows = [missing_row(item.path, item.near, settings.prefixes) for item in missing]
    rows += found.values()
    todo = [member for member in members if member.path not in found]
    rows += _convert(settings, todo, origins, done)
    rows.sort(key=lambda row: row.path)
    return rows, write_rows(settings, folder, rows)


def _convert(
    settings: Settings,
    members: Sequence[Member],
    origins: Mapping[str, str],
    done: Callable[[int], object],
) -> Iterator[ImageRow]:
    output = files.local_path(settings.output)
    job = Job(settings.images, output)
    readable = [member for member in members if not member.fault]
    rows = [
        fault_row(member, member.fault, origins[member.path]) for member in members if member.fault
    ]

    def originals() -> Iterator[tuple[Member, int, Original]]:
        for member, found in _sources(readable):
            origin = origins[member.path]
            if isinstance(found, ImageFault):
                rows.append(fault_row(member, found, origin))
                continue
            place = {"source": found} if isinstance(found, str) else {"data": found}
            yield member, member.packed, Original(member, origin, **place)

    weight = sum(member.packed for member in readable)
    converted = image_workers(settings.image_workers).map(convert_image, job, originals(), weight)
    with files.Outbox() as outbox:
        for member, result in converted:
            if isinstance(result, Death):
                row = fault_row(member, fault_of(result), origins[member.path])
            else:
                row, data = result
                if data and row.file and row.sha256:
                    uri = files.join(settings.output, row.file)
                    scratch = files.join(settings.output, layout.SCRATCH)
                    outbox.write_bytes_new(uri, data, row.sha256, scratch)
            done(1)
            yield row
    done(len(rows))
    yield from rows


def _sources(members: list[Member]) -> Iterator[tuple[Member, str | bytes | ImageFault]]:
    """Yields members with the local path of their source, with their bytes, or with a fault."""
    if members and files.local_path(members[0].place) is not None:
        for member in sorted(members, key=lambda member: (member.source, member.offset)):
            yield member, files.local_path(member.place) or ""
    else:
        for member, entry in fetch(members):
            yield member, load(member, entry)


def image_workers(number: int = 0) -> Workers:
    """Returns the processes that convert images, see `core.settings.Settings.image_workers`."""
    return workers(number, MODULES)


def fault_of(death: Death) -> ImageFault:
    """Returns the fault of an image that no worker can convert."""
    reason = Reason.IMAGE_TOO_SLOW if death.slow else Reason.IMAGE_CRASHES_DECODER
    return ImageFault(reason, death.detail)


def folder_of(settings: Settings, root: str, version: str, batch: str) -> str:
    """Returns the name of a batch's folder.

    `root` is the URI of the source, `version` its version if it is a zip: files in a folder have
    their own versions. `batch` identifies the batch in its source.
    """
    # Results with other columns are those of another version.
    key = msgspec.json.encode([RESULT_SCHEMA.names, settings.image_digest(), root, version, batch])
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
    for row in [row for row in rows.values() if row.file and row.file != _name_of(row)]:
        del rows[row.path]  # another version or somebody else has written it
    usable = [row for row in rows.values() if row.file is not None]
    uris = [files.join(settings.output, row.file or "") for row in usable]
    for row, size in zip(usable, files.sizes(uris), strict=True):
        if size != row.bytes:
            del rows[row.path]
    return rows


def _name_of(row: ImageRow) -> str | None:
    known = row.sha256 and row.format in layout.SUFFIXES
    return layout.image_file(row.path, row.sha256 or "", row.format or "") if known else None


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
