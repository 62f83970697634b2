"""Stretches of rows that leave a column empty, or that are dropped: what the order of rows does.

LLaMA-Factory maps over rows with ``preprocessing_num_workers`` processes, each on one stretch of
the dataset (``Dataset.shard``, contiguous), and Hugging Face's writer fixes the types of the new
columns by the first thousand rows of each.
"""

from __future__ import annotations

import msgspec

BATCH = 1000
"""Rows by which types are fixed, and rows that are prepared at a time; both are defaults."""
MAX_WORKERS = 64


class Runs(msgspec.Struct, array_like=True, frozen=True):
    """What is known of the runs of marked rows in a stretch of rows.

    Attributes:
        rows: Number of rows.
        head: Marked rows at the beginning.
        tail: Marked rows at the end.
        long: Start and length of every run of at least `BATCH` rows that touches neither end.
    """

    rows: int = 0
    head: int = 0
    tail: int = 0
    long: tuple[tuple[int, int], ...] = ()

    def then(self, other: Runs) -> Runs:
        """The runs of this stretch with another behind it.

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
        """The runs of rows that are marked or not."""
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
        """Whether every row is marked; so are those of no rows."""
        return self.head == self.rows

    def _all_long(self) -> list[tuple[int, int]]:
        ends = [(0, self.head), (self.rows - self.tail, self.tail)]
        return [*self.long, *(run for run in ends if run[1] >= BATCH)]

    def null_workers(self) -> list[int]:
        """The numbers of workers, up to `MAX_WORKERS`, with which a marked column gets no type.

        It gets none where a worker's first `BATCH` rows are marked and a later one is not.
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
        """The first row of a batch (of one worker) whose rows are all marked, or None."""
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
