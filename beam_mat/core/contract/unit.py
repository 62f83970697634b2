"""The units of work of a check, and the notes that they leave."""

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
"""What Hugging Face's JSON reader takes at a time (``JsonConfig.chunksize``), to a line's end."""


class DatasetFile(msgspec.Struct, frozen=True, array_like=True):
    """One data file of an entry.

    Attributes:
        entry: The entry's place among those that are checked.
        order: The file's place among the entry's files, by name.
        uri: Where it is.
        size: Bytes.
        version: What changes with its content.
        type: json or parquet.
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
    """A run of whole rows of a file: a chunk of JSON, or a row group of Parquet.

    Attributes:
        file: The file.
        number: Its place among the units of the file.
        first: Index in the file of its first row.
        chunk: The bytes, of JSON.
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
    """What is known of a file before its rows are read.

    Attributes:
        file: The file.
        units: Number of its units.
        layout: How JSON rows are strung together, None for Parquet and for files without rows.
        shape: Of the columns, where the file itself says (Parquet).
        findings: What is wrong with the file as a whole.
    """

    file: DatasetFile
    units: int = 0
    layout: Layout | None = None
    shape: Shape | None = None
    findings: list[Finding] = []


class UnitNote(msgspec.Struct):
    """What was found in a unit.

    Attributes:
        unit: The unit.
        rows: Number of its rows.
        counts: What is wrong with them.
        shape: Of the columns; None in Parquet.
        always: The columns that every row has.
        empty: For each column that a row may leave empty, the runs of rows that do.
        dropped: The runs of rows that LLaMA-Factory drops.
        image_uses: Images of its rows, repetitions counted.
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
    """What was found wrong with images, or with rows now that the sizes of images are known."""

    entry: int
    counts: list[Count]
    images: int = 0


class ImageUse(msgspec.Struct, frozen=True, array_like=True):
    """An image path in a unit: how many rows name it, and the first of them."""

    entry: int
    path: str
    unit: str
    rows: int
    place: Place


class RowLength(msgspec.Struct, frozen=True, array_like=True):
    """What the length of a row is made of, see `beam_mat.core.contract.tokens.measure`.

    Attributes:
        place: The row.
        system: Least tokens of its system prompt.
        pieces: Least tokens of each turn before, between and after its images.
        images: A path, or the tokens of an image whose bytes stand in the row.
    """

    place: Place
    system: int
    pieces: tuple[tuple[int, ...], ...]
    images: tuple[str | int, ...]


class LengthFact(msgspec.Struct, frozen=True, array_like=True):
    """What is known of the lengths of a unit's rows: the rows, or tokens of images by path.

    An image that cannot be used has -1 tokens.
    """

    entry: int = 0
    rows: tuple[RowLength, ...] = ()
    tokens: tuple[tuple[str, int], ...] = ()


def cut_file(file: DatasetFile, layout: Layout, found: Iterable[Span | Break]) -> Iterator[Unit]:
    """Groups the rows of a JSON file into units.

    JSON Lines are cut as Hugging Face's reader cuts them, since each such batch has types of its
    own; an array is read whole there, so that it may be cut anywhere.
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
            size = f"a row of {item.end - item.start} bytes"
            at = first + count
            place = (str(at), shard, Layout.LINES, item.start, item.end, at, 1)
            yield Chunk(*place, Reason.RECORD_TOO_LARGE, size)
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
