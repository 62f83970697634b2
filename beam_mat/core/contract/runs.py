"""Runs of consecutive rows in which a column is empty, or that are all dropped.

LLaMA-Factory maps over the rows with ``preprocessing_num_workers`` processes, each with one
contiguous part of the dataset (``Dataset.shard``). Hugging Face's writer infers the types of the
new columns from the first thousand rows of each part. The order of the rows therefore matters.
"""

from __future__ import annotations

import msgspec

BATCH = 1000
"""The default number of rows from which types are inferred, and of rows per batch."""
MAX_WORKERS = 64


class Runs(msgspec.Struct, array_like=True, frozen=True):
    """The runs of marked rows in a sequence of rows.

    `head` and `tail` are the numbers of marked rows at the beginning and at the end. `long` has the
    start and length of every run of at least `BATCH` rows that touches neither end.
    """

    rows: int = 0
    head: int = 0
    tail: int = 0
    long: tuple[tuple[int, int], ...] = ()

    def then(self, other: Runs) -> Runs:
        """The runs of this sequence followed by another one.

        >>> Runs.of([True, False]).then(Runs.of([True, True]))
        Runs(rows=4, head=1, tail=2, long=())
        """
        if not self.rows or not other.rows:
            return self if self.rows else other
        middle, start = self.tail + other.head, self.rows - self.tail
        inside = self.tail < self.rows and other.head < other.rows
        return Runs(
            rows=self.rows + other.rows,
            head=self.head if self.head < self.rows else self.rows + other.head,
            tail=other.tail if other.tail < other.rows else other.rows + self.tail,
            long=(
                *self.long,
                *([(start, middle)] if inside and middle >= BATCH else []),
                *((self.rows + at, length) for at, length in other.long),
            ),
        )

    @classmethod
    def of(cls, marks: list[bool]) -> Runs:
        """The runs of a sequence of rows, given whether each one is marked."""
        head = next((at for at, mark in enumerate(marks) if not mark), len(marks))
        tail = next((at for at, mark in enumerate(reversed(marks)) if not mark), len(marks))
        long, start = [], -1
        for at, mark in enumerate(marks[: len(marks) - tail]):
            if not mark:
                if start >= head and at - start >= BATCH:
                    long.append((start, at - start))
                start = at + 1
        return cls(len(marks), head, tail, tuple(long))

    @property
    def all_marked(self) -> bool:
        """Whether every row is marked. True if there are no rows."""
        return self.head == self.rows

    def _all_long(self) -> list[tuple[int, int]]:
        ends = [(0, self.head), (self.rows - self.tail, self.tail)]
        return [*self.long, *(run for run in ends if run[1] >= BATCH)]

    def null_workers(self) -> list[int]:
        """The numbers of workers, up to `MAX_WORKERS`, with which the column gets the type null.

        This happens if a worker's first `BATCH` rows are marked and one of its later rows is not.
        """
        if self.all_marked:
            return []
        runs = self._all_long()
        return [workers for workers in range(1, MAX_WORKERS + 1) if self._fails(workers, runs)]

    def _fails(self, workers: int, runs: list[tuple[int, int]]) -> bool:
        share, rest = divmod(self.rows, workers)
        for worker in range(workers):
            begin = share * worker + min(worker, rest)
            end = begin + share + (worker < rest)
            if any(at <= begin and begin + BATCH <= at + length < end for at, length in runs):
                return True
        return False

    def whole_batch(self) -> int | None:
        """Index of the first row of a batch whose rows are all marked, or None (for one worker)."""
        last = (self.rows - 1) // BATCH * BATCH
        if self.rows and self.tail >= self.rows - last:
            runs = [*self._all_long(), (last, self.rows - last)]
        else:
            runs = self._all_long()
        starts = [-(-at // BATCH) * BATCH for at, _ in runs]
        whole = [
            start
            for start, (at, length) in zip(starts, runs, strict=True)
            if length and min(start + BATCH, self.rows) <= at + length and start < self.rows
        ]
        return min(whole, default=None)
