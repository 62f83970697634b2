"""Splits a turn of a trajectory into text, code and images."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from typing import NamedTuple

from beam_mat.core.record import IMAGE
from beam_mat.report.findings import ShownTurn

_PIECE = re.compile(r"```(?:py|python)?[ \t]*\n(?P<code>.*?)(?:\n[ \t]*```|\Z)|<image>", re.DOTALL)
_OBSERVATION = re.compile(r"\s*\[OUTPUT OF STEP \d+\]|\s*Observation:")


class Piece(NamedTuple):
    """A piece of a turn. `kind` is text, code or image; `value` is the text or the image's path."""

    kind: str
    value: str


def speaker(turn: ShownTurn) -> str:
    """The speaker: user, assistant or observation. MAT puts the output of tools in user turns."""
    if turn.role == "user" and _OBSERVATION.match(turn.text):
        return "observation"
    return turn.role


def pieces(turn: ShownTurn) -> Iterator[Piece]:
    """Splits a turn. Images whose placeholders were truncated come last."""
    paths = iter(turn.images)
    at = 0
    for found in _PIECE.finditer(turn.text):
        code = found["code"]
        if code is None and turn.role != "user":
            continue  # part of the model's answer, not a placeholder
        yield from _text(turn.text[at : found.start()])
        at = found.end()
        if code is not None:
            yield Piece("code", code)
        marks = 1 if code is None else code.count(IMAGE) if turn.role == "user" else 0
        for path in itertools.islice(paths, marks):
            yield Piece("image", path)
    yield from _text(turn.text[at:])
    for path in paths:
        yield Piece("image", path)


def _text(text: str) -> Iterator[Piece]:
    text = text.strip()
    if text:
        yield Piece("text", text)
