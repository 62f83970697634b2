"""Reads a trajectory from a row of any kind. It is lenient: people look at odd rows."""

from __future__ import annotations

import json
from collections.abc import Iterator

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

    system: str
    turns: list[Turn]
    images: list[Picture]
    extra: dict[str, str]


def conversation_of(value: object, entry: Entry) -> Conversation | None:
    """The trajectory of a decoded row, or None if it has none."""
    messages = value.get(entry.columns["messages"]) if isinstance(value, dict) else None
    if not isinstance(value, dict) or not isinstance(messages, list) or not messages:
        return None
    columns = {name: value.get(column) for name, column in entry.columns.items()}
    turns = [_turn(message, entry.tags) for message in messages]
    system = columns.get("system")
    if turns[0].role == entry.tags.get("system_tag", "system") and not system:
        system = turns.pop(0).content
    others = ("tools", "videos", "audios")
    extra = {name: text_of(columns[name]) for name in others if columns.get(name)}
    return Conversation(text_of(system), turns, list(_pictures(columns.get("images"))), extra)


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


def _turn(message: object, tags: dict[str, str]) -> Turn:
    if not isinstance(message, dict):
        return Turn("(no role)", text_of(message))
    role = message.get(tags.get("role_tag", "role"), "(no role)")
    return Turn(text_of(role), text_of(message.get(tags.get("content_tag", "content"))))


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
