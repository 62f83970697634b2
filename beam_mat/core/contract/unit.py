"""The units of work of a check, and their results."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator

import msgspec

from beam_mat.core.chunk import Chunk, Shard, cut
from beam_mat.core.contract.finding import Count, Finding, Place
from beam_mat.core.contract.shape import Shape
from beam_mat.core.proposal import Group
from beam_mat.core.scan import Break, Layout, Span

BATCH_BYTES = 10 << 20
"""Bytes that Hugging Face's JSON reader reads at once (``JsonConfig.chunksize``), to a line end."""
BATCH = 1000
"""The default number of rows from which types are inferred, and of rows per batch."""
MAX_WORKERS = 64


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


class Runs(msgspec.Struct, array_like=True, frozen=True):
    """Runs of marked rows, in which a column is empty or which are all dropped.

    LLaMA-Factory maps over the rows with ``preprocessing_num_workers`` processes, each with one
    contiguous part of the dataset (``Dataset.shard``). Hugging Face's writer infers the types of
    the new columns from the first `BATCH` rows of each part. Only start and end of runs that have
    `BATCH` rows or touch an end of the sequence are kept.
    """

    rows: int = 0
    runs: tuple[tuple[int, int], ...] = ()

    @classmethod
    def of(cls, marks: list[bool]) -> Runs:
        """The runs of a sequence of rows, given whether each one is marked."""
        runs, end = [], 0
        for is_marked, group in itertools.groupby(marks):
            start, end = end, end + len(list(group))
            if is_marked:
                runs.append((start, end))
        return cls._of_runs(end, runs)

    def then(self, other: Runs) -> Runs:
        """The runs of this sequence followed by another one.

        >>> Runs.of([True, False]).then(Runs.of([True, True]))
        Runs(rows=4, runs=((0, 1), (2, 4)))
        """
        before = list(self.runs)
        after = [(self.rows + start, self.rows + end) for start, end in other.runs]
        if before and after and before[-1][1] == after[0][0]:
            after[0] = (before.pop()[0], after[0][1])
        return self._of_runs(self.rows + other.rows, before + after)

    @classmethod
    def _of_runs(cls, rows: int, runs: list[tuple[int, int]]) -> Runs:
        kept = (run for run in runs if run[1] - run[0] >= BATCH or run[0] == 0 or run[1] == rows)
        return cls(rows, tuple(kept))

    @property
    def head(self) -> int:
        """The number of marked rows at the beginning."""
        return self.runs[0][1] if self.runs and self.runs[0][0] == 0 else 0

    def null_workers(self) -> list[int]:
        """The numbers of workers, up to `MAX_WORKERS`, with which the column gets the type null.

        This happens if a worker's first `BATCH` rows are marked and one of its later rows is not.
        """
        if self.head == self.rows:
            return []
        return [workers for workers in range(1, MAX_WORKERS + 1) if self._fails(workers)]

    def _fails(self, workers: int) -> bool:
        share, rest = divmod(self.rows, workers)
        for worker in range(workers):
            begin = share * worker + min(worker, rest)
            stop = begin + share + (worker < rest)
            if any(start <= begin and begin + BATCH <= end < stop for start, end in self.runs):
                return True
        return False

    def whole_batch(self) -> int | None:
        """Index of the first row of a batch whose rows are all marked, or None (for one worker)."""
        for start, end in self.runs:
            first = -(-start // BATCH) * BATCH
            if first < self.rows and min(first + BATCH, self.rows) <= end:
                return first
        return None


class FileNote(msgspec.Struct):
    """The result of checking a file as a whole, before its rows.

    `layout` says how a JSON file separates its rows; a Parquet file has a `shape` instead.
    """

    file: DatasetFile
    layout: Layout | None = None
    shape: Shape | None = None
    findings: list[Finding] = []


class UnitNote(msgspec.Struct):
    """The result of checking the rows of a unit.

    `shape` has the column types; it is None for Parquet. `always` are the columns that every row
    has. `empty` has the runs of rows in which a column is empty, for each column that may be empty,
    and `dropped` those that LLaMA-Factory drops. `image_uses` counts repeated images each time.
    `labels` are the labels of KTO that the rows have.
    """

    unit: Unit
    rows: int
    counts: list[Count]
    shape: Shape | None
    always: tuple[str, ...]
    empty: dict[str, Runs]
    dropped: Runs
    image_uses: int
    labels: tuple[bool, ...] = ()


class ImageNote(msgspec.Struct):
    """Violations of images, or of rows whose lengths depend on images, and the number of images.

    `missing` are groups of the missing images, by folder.
    """

    entry: int
    counts: list[Count]
    images: int = 0
    missing: tuple[Group, ...] = ()


class ImageUse(msgspec.Struct, frozen=True, array_like=True):
    """An image path in a unit, the number of rows that use it, and the first of these rows."""

    entry: int
    path: str
    unit: str
    rows: int
    place: Place


class RowLength(msgspec.Struct, frozen=True, array_like=True):
    """The parts of a row's length, see `beam_mat.core.contract.examine.measure`.

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
    goal = BATCH_BYTES

    def is_full(_: int, end: int) -> bool:
        nonlocal goal
        if end < goal:  # the batch ends with the line that reaches this byte
            return False
        goal = end + 1 + BATCH_BYTES
        return True

    lines = layout is Layout.LINES
    if lines:
        # A file of blank lines has no rows, which is no fault of the file.
        found = (item for item in found if isinstance(item, Span))
    for number, chunk in enumerate(cut(shard, layout, found, "", is_full if lines else None)):
        yield Unit(file, number, chunk.first, chunk)
