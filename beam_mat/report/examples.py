"""The example records of the page: turns in pieces, and as many records as fit."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from beam_mat.core.record import IMAGE
from beam_mat.report.findings import ShownTurn
from beam_mat.report.read import ReportData, Thumbnail, images_of

MAX_BYTES = 3_500_000
"""The limit for all examples. It keeps the whole page below 5 MB for any records."""

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


def draw(data: ReportData, card: Any) -> tuple[list[str], dict[str, Thumbnail]]:
    """Renders as many accepted records as fit, and all rejected records, which are few.

    Returns their HTML, accepted ones first, and the thumbnails that they show, by path. `card` is
    the module of card.html.
    """
    rejected = [card.rejected(reject) for reject in data.findings.rejects]
    room = MAX_BYTES - sum(map(_size, rejected))
    accepted: list[str] = []
    pictures: dict[str, Thumbnail] = {}
    # Records with images come first because they are the most interesting.
    for example in sorted(data.findings.examples, key=lambda example: example.images == 0):
        paths = [path for path in images_of(example) if path in data.thumbnails]
        own = {path: data.thumbnails[path] for path in paths}
        html = card.accepted(example, own)
        new = {path: small for path, small in own.items() if path not in pictures}
        size = _size(html) + sum(len(small.url) + 100 for small in new.values())
        if size <= room:
            room -= size
            pictures |= new
            accepted.append(html)
    return accepted + rejected, pictures


def _size(text: str) -> int:
    return len(text.encode("utf-8", "backslashreplace"))
