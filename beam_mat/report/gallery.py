"""Renders the examples, as many as fit on the page."""

from __future__ import annotations

from typing import Any, NamedTuple

from beam_mat.report.read import ReportData, images_of
from beam_mat.report.template import environment
from beam_mat.report.thumbnail import Thumbnail

MAX_BYTES = 3_500_000
"""The limit for all examples. It keeps the whole page below 5 MB for any records."""


class Gallery(NamedTuple):
    """The HTML of the examples that fit on the page, accepted ones first, and their thumbnails."""

    cards: list[str]
    pictures: dict[str, Thumbnail]


def draw(data: ReportData) -> Gallery:
    """Renders as many accepted records as fit, and all rejected records, which are few."""
    macros: Any = environment().get_template("card.html").module
    rejected = [macros.rejected(reject) for reject in data.findings.rejects]
    room = MAX_BYTES - sum(map(_size, rejected))
    accepted: list[str] = []
    pictures: dict[str, Thumbnail] = {}
    # Records with images come first because they are the most interesting.
    examples = sorted(data.findings.examples, key=lambda example: example.images == 0)
    for example in examples:
        own = {
            path: data.thumbnails[path] for path in images_of(example) if path in data.thumbnails
        }
        card = macros.accepted(example, own)
        new = {path: small for path, small in own.items() if path not in pictures}
        size = _size(card) + sum(len(small.url) + 100 for small in new.values())
        if size <= room:
            room -= size
            pictures |= new
            accepted.append(card)
    return Gallery(accepted + rejected, pictures)


def _size(text: str) -> int:
    return len(text.encode("utf-8", "backslashreplace"))
