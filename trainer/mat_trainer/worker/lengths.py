"""Measures how many token ids LLaMA-Factory makes of every row of a dataset, before any cut.

    python -m mat_trainer.worker.lengths SPEC.json RESULT.json

The files contain `mat_trainer.core.lengths.Spec` and `Lengths`. Standard output has lines
``rows DONE/ALL`` among messages of libraries.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import msgspec

from mat_trainer.core.lengths import UNKNOWN, Lengths, PartLengths, Spec
from mat_trainer.worker.uncollected import uncollected

with uncollected():
    import torch

    from mat_trainer.worker import part_rows
    from mat_trainer.worker.encoder import Encoder, Length
    from mat_trainer.worker.part_rows import Piece

TOLD_FAULTS = 20
_FAULT_CHARACTERS = 300
_PR_SET_PDEATHSIG = 1


class Measured(msgspec.Struct):
    """Tokens, answers' tokens, images and faults of the rows of a piece."""

    piece: Piece
    tokens: list[int]
    answers: list[int]
    images: list[int]
    faults: list[str]


_encoder: Encoder | None = None
"""Loaded once, before the processes are forked, so that they share its memory."""


def main(argv: list[str]) -> int:
    """Measures the dataset that the first argument's file describes."""
    spec = msgspec.json.decode(Path(argv[0]).read_bytes(), type=Spec)
    Path(argv[1]).write_bytes(msgspec.json.encode(measure(spec)))
    return 0


def measure(spec: Spec) -> Lengths:
    """Measures every row of every entry."""
    global _encoder  # noqa: PLW0603 see there
    folder = Path(spec.dataset_dir)
    total = sum(sum(parts.values()) for parts in spec.entries.values())
    found = {
        part: PartLengths([UNKNOWN] * rows, [0] * rows, [0] * rows)
        for parts in spec.entries.values()
        for part, rows in parts.items()
    }
    _tell(0, total)
    _encoder = Encoder(spec)
    pieces = [
        piece
        for entry, parts in spec.entries.items()
        for part in parts
        for piece in part_rows.pieces(folder, entry, part)
    ]
    faults: list[str] = []
    count = done = 0
    for measured in _measured(folder, pieces, processes(spec.processes, len(pieces))):
        part, first, rows = measured.piece.part, measured.piece.first, measured.piece.rows
        found[part].tokens[first : first + rows] = measured.tokens
        found[part].answers[first : first + rows] = measured.answers
        found[part].images[first : first + rows] = measured.images
        faults += measured.faults[: TOLD_FAULTS - len(faults)]
        count += len(measured.faults)
        done += rows
        _tell(done, total)
    return Lengths(found, tuple(faults), count)


def processes(asked: int, pieces: int) -> int:
    """How many processes to use: at most `asked`, and at most one for each core and piece."""
    return max(1, min(asked, len(os.sched_getaffinity(0)), pieces))


def _measured(folder: Path, pieces: list[Piece], count: int) -> Iterator[Measured]:
    if count == 1:
        torch.set_num_threads(1)
        yield from (_measure(folder, piece) for piece in pieces)
        return
    # Forked, so that the tokenizer is loaded once. torch has started no threads yet, which would
    # not survive a fork.
    context = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(count, context, _begin, (os.getpid(),)) as pool:
        yield from pool.map(_measure, [folder] * len(pieces), pieces)


def _begin(parent: int) -> None:
    torch.set_num_threads(1)
    # Ends when the process that waits for the results ends.
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def _measure(folder: Path, piece: Piece) -> Measured:
    assert _encoder is not None
    measured = Measured(piece, [], [], [], [])
    for at, row in enumerate(part_rows.read(folder, piece), piece.first):
        measured.images.append(len(row.get("images") or ()))
        try:
            length = _encoder.length(piece.entry, row)
        except Exception as error:  # noqa: BLE001 training would raise it too
            length = Length(UNKNOWN)
            why = " ".join(f"{type(error).__name__}: {error}".split())[:_FAULT_CHARACTERS]
            measured.faults.append(f"{piece.part}, row {at}: {why}; leave the record out")
        measured.tokens.append(length.tokens)
        measured.answers.append(length.answer)
    return measured


def _tell(done: int, total: int) -> None:
    sys.stdout.write(f"rows {done}/{total}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
