"""Reads a trajectory from a row of any kind. It is lenient: people look at odd rows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import msgspec

from beam_mat.core.contract.entry import Entry
from beam_mat.core.record import IMAGE, Turn

RECORD = Entry(
    "", "", {"messages": "conversations"}, {"role_tag": "role", "content_tag": "content"}
)
"""How MAT's own records are read, before a conversion."""


class Picture(msgspec.Struct, frozen=True):
    """An image of a row: its path or "", and its bytes if the row contains them."""

    path: str
    data: bytes | None = None


class Conversation(msgspec.Struct, frozen=True):
    """A row as a person reads it; `extra` has further columns that are not empty."""

    id: str
    system: str
    turns: tuple[Turn, ...]
    images: tuple[Picture, ...]
    extra: dict[str, str]


def conversation_of(value: object, entry: Entry) -> Conversation | None:
    """The trajectory of a decoded row, or None if it has none."""
    if not isinstance(value, dict):
        return None
    messages = value.get(entry.columns["messages"])
    if not isinstance(messages, list) or not messages:
        return None
    turns = [_turn(message, entry) for message in messages]
    system = _column(value, entry, "system")
    is_tagged = turns[0].role == entry.tags.get("system_tag", "system")
    if is_tagged and not system:
        system = turns.pop(0).content
    extra = {
        name: text_of(found)
        for name in ("tools", "videos", "audios")
        if (found := _column(value, entry, name))
    }
    images = tuple(_pictures(_column(value, entry, "images")))
    return Conversation(text_of(value.get("id", "")), text_of(system), tuple(turns), images, extra)


def images_by_turn(found: Conversation) -> tuple[list[list[int]], list[int]]:
    """The indices of the images of each turn, and of those that belong to no turn.

    The n-th ``<image>`` is the n-th image, as LLaMA-Factory counts.
    """
    places = iter(range(len(found.images)))
    of_turns = [
        [place for _, place in zip(range(turn.content.count(IMAGE)), places, strict=False)]
        for turn in found.turns
    ]
    return of_turns, list(places)


def _column(value: dict[str, Any], entry: Entry, name: str) -> Any:
    column = entry.columns.get(name)
    return value.get(column) if column else None


def _turn(message: object, entry: Entry) -> Turn:
    if not isinstance(message, dict):
        return Turn("(no role)", text_of(message))
    role = message.get(entry.tags.get("role_tag", "role"), "(no role)")
    return Turn(text_of(role), text_of(message.get(entry.tags.get("content_tag", "content"))))


def _pictures(images: object) -> Iterator[Picture]:
    for image in images if isinstance(images, list) else [images]:
        match image:
            case None:
                continue
            case bytes():
                yield Picture("", image)
            case {"bytes": bytes() as data, **rest}:
                yield Picture(text_of(rest.get("path") or ""), data)
            case {"path": str() as path}:
                yield Picture(path)
            case _:
                yield Picture(text_of(image))


def text_of(value: object) -> str:
    """A text as it is, anything else as JSON."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    try:
        return json.dumps(value, ensure_ascii=False, indent=1, default=repr)
    except (ValueError, RecursionError):
        return repr(type(value))
