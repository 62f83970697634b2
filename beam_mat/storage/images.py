"""Images out: the files below images/, and the table that says what was done to each."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from beam_mat.core import layout
from beam_mat.core.errors import LostRecordError
from beam_mat.core.geometry import QWEN2_VL, QWEN3_VL, Size, tokens
from beam_mat.core.image import ImageFault, Picture, prepare
from beam_mat.core.image_statistics import ConvertedImage, ImageFile, ImageStatistics
from beam_mat.core.member import Member
from beam_mat.core.notes import ImageOutcome
from beam_mat.core.path import unsafe
from beam_mat.core.reject import Reason
from beam_mat.core.settings import Ground, Settings
from beam_mat.storage import files, present
from beam_mat.storage.fetch import load
from beam_mat.storage.parts import parquet_writer

TABLE_SCHEMA = pa.schema(
    [
        ("path", pa.string()),
        ("status", pa.string()),
        ("detail", pa.string()),
        ("source", pa.string()),
        ("source_format", pa.string()),
        ("source_width", pa.int32()),
        ("source_height", pa.int32()),
        ("source_bytes", pa.int64()),
        ("format", pa.string()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("bytes", pa.int64()),
        ("sha256", pa.string()),
        ("qwen2_vl_tokens", pa.int32()),
        ("qwen3_vl_tokens", pa.int32()),
    ]
)
"""Of images.parquet. `status` is kept, resized or converted, or a `Reason` for a faulty image."""

NOTE_SCHEMA = TABLE_SCHEMA.append(pa.field("origin", pa.string()))
"""Of a batch's note: a later run needs to know what each row was made of."""

_STATISTICS = b"statistics"
"""Key in the metadata of a batch's note: the driver has no time to look at each image."""


class ImageRow(msgspec.Struct, frozen=True):
    """A row of images.parquet; what is not known of a faulty image is None.

    `origin` is `Member.origin`, and not in the table.
    """

    path: str
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
        """What records need to know of this."""
        if self.sha256 is not None:
            tokens = (self.qwen2_vl_tokens or 0, self.qwen3_vl_tokens or 0)
            return ImageOutcome(self.path, content=self.sha256[:16], tokens=tokens)
        return ImageOutcome(self.path, ImageFault(Reason(self.status), self.detail or ""))


def missing(path: str) -> ImageRow:
    """The row of an image that no source holds."""
    return ImageRow(path, Reason.IMAGE_MISSING.value, f"{path!r} is in none of the image sources")


def convert(
    settings: Settings, member: Member, found: memoryview | ImageFault, outbox: files.Outbox
) -> ImageRow:
    """Checks, resizes and writes one image. `found` is as `beam_mat.storage.fetch` yields it."""
    data = load(member, found)
    result = data if isinstance(data, ImageFault) else _prepare(settings, data)
    if isinstance(result, ImageFault):
        return _faulty(member, result)
    try:
        written = outbox.write_bytes(
            _place(settings, member.path),
            result.data,
            files.join(settings.output, layout.SCRATCH),
        )
    except (NotADirectoryError, IsADirectoryError, FileExistsError):
        detail = "another image's path begins with this one, or this one with another's"
        return _faulty(member, ImageFault(Reason.UNSAFE_PATH, detail))
    return _row(member, result, written)


def _faulty(member: Member, fault: ImageFault) -> ImageRow:
    detail = f"{member.path!r}: {fault.detail}"
    return ImageRow(
        member.path, fault.reason.value, detail, member.source, source_bytes=member.size
    )


def _prepare(settings: Settings, data: bytes) -> Picture | ImageFault:
    return prepare(data, settings.budget, apply_exif=settings.apply_exif)


def _row(member: Member, picture: Picture, written: files.Written) -> ImageRow:
    size: Size = picture.size
    return ImageRow(
        path=member.path,
        status=picture.action.value,
        source=member.source,
        source_format=picture.source_format,
        source_width=picture.source_size[0],
        source_height=picture.source_size[1],
        source_bytes=member.size,
        format=picture.format,
        width=size[0],
        height=size[1],
        bytes=written.bytes,
        sha256=written.sha256,
        qwen2_vl_tokens=tokens(size, QWEN2_VL),
        qwen3_vl_tokens=tokens(size, QWEN3_VL),
    )


def leave_rows(settings: Settings, batch: str, rows: Sequence[ImageRow]) -> None:
    """Leaves a batch's rows for the driver, under a name that is a function of its images."""
    key = "\n".join(f"{row.source or ''}\t{row.path}" for row in rows)
    name = hashlib.sha256(f"{settings.image_digest()}\n{key}".encode()).hexdigest()[:24]
    table = pa.Table.from_pylist(msgspec.to_builtins(list(rows)), NOTE_SCHEMA)
    statistics = ImageStatistics()
    for image in images_of(table):
        statistics.add(image)
    schema = NOTE_SCHEMA.with_metadata({_STATISTICS: msgspec.json.encode(statistics)})
    with (
        files.write(
            batch_note(settings, f"{_folder(settings, batch)}{name}.parquet"),
            files.join(settings.output, layout.SCRATCH),
        ) as file,
        parquet_writer(file, schema) as writer,
    ):
        writer.write_table(table.cast(schema))


def statistics_of(note: pa.Schema) -> ImageStatistics:
    """What the images of a batch are like, from its note's schema.

    Raises:
        LostRecordError: Another version of this package left the note.
    """
    found = (note.metadata or {}).get(_STATISTICS)
    if found is None:
        raise LostRecordError("a batch of images was noted by another version of beam-mat")
    return msgspec.json.decode(found, type=ImageStatistics)


def _folder(settings: Settings, batch: str) -> str:
    own = hashlib.sha256(batch.encode()).hexdigest()[:16]
    return f"{settings.generation}/{own}/" if settings.watched else f"{settings.generation}/"


def notes_of(settings: Settings, batch: str) -> tuple[str, ...]:
    """Names of the notes that a batch of a watched dataset has left so far."""
    folder = _folder(settings, batch)
    return tuple(folder + name for name, _ in files.find(batch_note(settings, folder)))


def batch_note(settings: Settings, name: str) -> str:
    """Uri of a batch's note. `name` begins with its generation."""
    return files.join(settings.output, layout.BATCH_NOTES, name)


def found_paths(settings: Settings, name: str) -> list[str]:
    """Paths of the images that a batch's note tells of; not of those that were missing."""
    table = _read_note(settings, name, ["path", "origin"])
    pairs = zip(table["path"].to_pylist(), table["origin"].to_pylist(), strict=True)
    return [path for path, origin in pairs if origin is not None]


def unchanged(
    settings: Settings, origins: dict[str, str], names: Iterable[str]
) -> dict[str, ImageRow]:
    """What earlier runs found out and what still holds, by path.

    Args:
        settings: The settings.
        origins: By path, the origin that an image has now.
        names: Of the batch notes that tell of these images.
    """
    rows: dict[str, ImageRow] = {}
    for name in names:
        for values in _read_note(settings, name).to_pylist():
            # Of what has no origin nothing is known: the row of an unsafe path, or a missing one.
            if values["origin"] and origins.get(values["path"]) == values["origin"]:
                rows[values["path"]] = ImageRow(**values)
    usable = [row for row in rows.values() if row.sha256 is not None]
    uris = [_place(settings, row.path) for row in usable]
    for row, uri, size in zip(usable, uris, present.sizes(uris), strict=True):
        if size != row.bytes or (settings.ground is Ground.RUINS and _hash(uri) != row.sha256):
            del rows[row.path]
    return rows


def remove(settings: Settings, path: str) -> None:
    """Removes an image, and the folders that are empty then. A path that is not safe is none."""
    if not unsafe(path):
        files.remove_file(_place(settings, path))
        files.prune_above(_place(settings, path), settings.output)


def written(output: str) -> Iterator[tuple[str, int, str]]:
    """Path below the output folder, size and SHA-256 of every image that images.parquet lists."""
    with files.open_binary(files.join(output, layout.IMAGE_TABLE)) as file:
        columns = ["path", "bytes", "sha256"]
        for batch in pq.ParquetFile(file).iter_batches(columns=columns):
            values = (batch[name].to_pylist() for name in columns)
            for path, size, sha256 in zip(*values, strict=True):
                if sha256 is not None:
                    yield f"{layout.IMAGES}/{path}", size, sha256


def images_of(table: pa.Table) -> Iterator[ConvertedImage]:
    """The usable images among rows of images.parquet, before and after."""
    columns = ("format", "width", "height", "bytes")
    before = zip(*(table[f"source_{name}"].to_pylist() for name in columns), strict=True)
    after = zip(*(table[name].to_pylist() for name in columns), strict=True)
    for was, now in zip(before, after, strict=True):
        if now[0] is not None:
            yield ConvertedImage(ImageFile(*was), ImageFile(*now))


def _read_note(settings: Settings, name: str, columns: list[str] | None = None) -> pa.Table:
    with files.open_binary(batch_note(settings, name)) as file:
        return pq.read_table(file, schema=NOTE_SCHEMA, columns=columns)


def _place(settings: Settings, path: str) -> str:
    return files.join(settings.output, layout.IMAGES, path)


def _hash(uri: str) -> str:
    return hashlib.sha256(files.read_bytes(uri)).hexdigest()
