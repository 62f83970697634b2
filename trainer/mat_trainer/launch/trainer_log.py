"""Keeps each step once in ``trainer_log.jsonl``, over several launches."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

NAME = "trainer_log.jsonl"
SET_ASIDE = "trainer_log.earlier.jsonl"


class _Line(msgspec.Struct):
    current_steps: int


def keep_until(output_dir: Path, step: int) -> None:
    """Moves the lines of later steps, and an incomplete last line, to `SET_ASIDE`.

    LLaMA-Factory appends to the log. A run that ends after step 7 and resumes from the checkpoint
    of step 5 would log steps 6 and 7 twice.
    """
    log = output_dir / NAME
    if not log.is_file():
        return
    lines = log.read_bytes().splitlines(keepends=True)
    kept = [line for line in lines if _is_until(line, step)]
    moved = [line for line in lines if not _is_until(line, step)]
    if not moved:
        return
    with output_dir.joinpath(SET_ASIDE).open("ab") as aside:
        aside.writelines(line if line.endswith(b"\n") else line + b"\n" for line in moved)
    partial = log.with_name(f".{NAME}.partial")
    partial.write_bytes(b"".join(kept))
    os.replace(partial, log)


def _is_until(line: bytes, step: int) -> bool:
    try:
        return msgspec.json.decode(line, type=_Line).current_steps <= step
    except msgspec.DecodeError:
        return False
