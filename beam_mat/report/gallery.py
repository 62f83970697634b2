"""The examples, drawn, as many as there is room for on the page."""

from __future__ import annotations

from typing import Any, NamedTuple

from beam_mat.report.read import ReportData, images_of
from beam_mat.report.template import environment
from beam_mat.report.thumbnail import Thumbnail

MAX_BYTES = 3_500_000
"""Of all examples: the whole page has then less than 5 MB, whatever records hold."""


class Gallery(NamedTuple):
    """The examples that find room on the page.

    Attributes:
        cards: Each one drawn, accepted records first.
        pictures: The small pictures that they refer to, by the path of the image.
    """

    cards: list[str]
    pictures: dict[str, Thumbnail]


def draw(data: ReportData) -> Gallery:
    """Draws as many of the examples as find room, and all of the rejected records: they are few."""
    macros: Any = environment().get_template("card.html").module
    rejected = [macros.rejected(reject) for reject in data.findings.rejects]
    room = MAX_BYTES - sum(map(_size, rejected))
    accepted: list[str] = []
    pictures: dict[str, Thumbnail] = {}
    # Pictures first: they are what one wants to see.
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
