"""The units of work of a check, and their results."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from beam_mat.core.chunk import Chunk, Shard, cut
from beam_mat.core.contract.finding import Count, Finding, Place
from beam_mat.core.contract.runs import Runs
from beam_mat.core.contract.shape import Shape
from beam_mat.core.limits import MAX_RECORD_BYTES
from beam_mat.core.reject import Reason
from beam_mat.core.scan import Break, Layout, Span

BATCH_BYTES = 10 << 20
"""Bytes that Hugging Face's JSON reader reads at once (``JsonConfig.chunksize``), to a line end."""


class DatasetFile(msgspec.Struct, frozen=True, array_like=True):
    """One data file of an entry: JSON or Parquet, as `type` says.

    `entry` is the index among the checked entries, `order` the one among the entry's files, sorted
    by name. `version` changes when the content changes.
    """

    entry: int
    order: int
    uri: str
    size: int
    version: str
    type: str

    @property
    def name(self) -> str:
        """Unique in the job."""
        return f"{self.entry:04d}-{self.order:08d}"


class Unit(msgspec.Struct, frozen=True, array_like=True):
    """Consecutive rows of a file: a chunk of JSON, or a row group of Parquet (without `chunk`).

    `number` is the index of the unit in the file, `first` that of its first row.
    """

    file: DatasetFile
    number: int
    first: int
    chunk: Chunk | None = None

    @property
    def name(self) -> str:
        """Unique in the job."""
        return f"{self.file.name}-{self.number:08d}"


class FileNote(msgspec.Struct):
    """The result of checking a file as a whole, before its rows.

    `layout` says how a JSON file separates its rows; a Parquet file has a `shape` instead.
    """

    file: DatasetFile
    units: int = 0
    layout: Layout | None = None
    shape: Shape | None = None
    findings: list[Finding] = []


class UnitNote(msgspec.Struct):
    """The result of checking the rows of a unit.

    Attributes:
        unit: The unit.
        rows: Number of rows.
        counts: The violations.
        shape: The column types, or None for Parquet.
        always: The columns that every row has.
        empty: For each column that may be empty, the runs of rows in which it is empty.
        dropped: The runs of rows that LLaMA-Factory drops.
        image_uses: Number of images in the rows; repeated images count each time.
    """

    unit: Unit
    rows: int
    counts: list[Count]
    shape: Shape | None
    always: tuple[str, ...]
    empty: dict[str, Runs]
    dropped: Runs
    image_uses: int


class ImageNote(msgspec.Struct):
    """Violations of images, or of rows whose lengths depend on images, and the number of images."""

    entry: int
    counts: list[Count]
    images: int = 0


class ImageUse(msgspec.Struct, frozen=True, array_like=True):
    """An image path in a unit, the number of rows that use it, and the first of these rows."""

    entry: int
    path: str
    unit: str
    rows: int
    place: Place


class RowLength(msgspec.Struct, frozen=True, array_like=True):
    """The parts of a row's length, see `beam_mat.core.contract.tokens.measure`.

    An image is given by its path, or by its tokens if the row contains its bytes.
    """

    place: Place
    system: int
    pieces: tuple[tuple[int, ...], ...]
    images: tuple[str | int, ...]


class LengthFact(msgspec.Struct, frozen=True, array_like=True):
    """Input for checking the lengths of a unit's rows: some of the rows, or of the images.

    `tokens` are paths of images and their tokens, or -1 for an image that cannot be used.
    """

    entry: int = 0
    rows: tuple[RowLength, ...] = ()
    tokens: tuple[tuple[str, int], ...] = ()


def cut_file(file: DatasetFile, layout: Layout, found: Iterable[Span | Break]) -> Iterator[Unit]:
    """Groups the rows of a JSON file into units.

    JSON Lines are split in the same way as in Hugging Face's reader, which infers types for each
    such batch. That reader reads an array as a whole, so an array may be split anywhere.
    """
    shard = Shard(file.uri, file.order, file.size, file.version)
    chunks = cut(shard, layout, found, "") if layout is Layout.ARRAY else _cut_lines(shard, found)
    for number, chunk in enumerate(chunks):
        yield Unit(file, number, chunk.first, chunk)


def _cut_lines(shard: Shard, found: Iterable[Span | Break]) -> Iterator[Chunk]:
    goal = BATCH_BYTES  # the batch ends with the line that reaches this byte
    start = end = first = count = 0

    def chunk() -> Chunk:
        return Chunk(str(first), shard, Layout.LINES, start, end, first, count)

    for item in found:
        if isinstance(item, Break):  # a file of blank lines
            break
        if item.end - item.start > MAX_RECORD_BYTES:
            if count:
                yield chunk()
            why = f"the row has {item.end - item.start} bytes"
            at = first + count
            where = (str(at), shard, Layout.LINES, item.start, item.end, at, 1)
            yield Chunk(*where, Reason.RECORD_TOO_LARGE, why)
            first, count = at + 1, 0
        else:
            start, end = (item.start if count == 0 else start), item.end
            count += 1
        if item.end >= goal:
            goal = item.end + 1 + BATCH_BYTES
            if count:
                yield chunk()
                first, count = first + count, 0
    if count:
        yield chunk()
