"""One row: a decoded value in, what is wrong with it out, never an exception.

Follows LLaMA-Factory's ``SharegptDatasetConverter`` and ``_validate_messages`` step by step: a row
that the converter drops is not looked into any further, since LLaMA-Factory does not either.
"""

from __future__ import annotations

import json
import re
from typing import Any, NamedTuple

import msgspec

from beam_mat.core.contract.entry import Entry
from beam_mat.core.contract.finding import printable, shown
from beam_mat.core.contract.kind import Kind, Severity


class Fault(NamedTuple):
    """What is wrong, and what was found."""

    kind: Kind
    detail: str


_MEDIA = (
    ("images", "<image>", Kind.IMAGE_COUNT),
    ("videos", "<video>", Kind.VIDEO_COUNT),
    ("audios", "<audio>", Kind.AUDIO_COUNT),
)
NULLABLE = ("system", "tools", "images", "videos", "audios")
"""Columns that a row may leave empty: the order of rows matters for them."""
_THOUGHT = re.compile(r"<think>.*?</think>", re.DOTALL)


class Row(msgspec.Struct, frozen=True):
    """What check knows of a row.

    Attributes:
        id: The row's own id, or "".
        faults: What is wrong with it.
        empty: The columns of `NULLABLE` that are empty in it.
        system: Its system prompt, or "".
        contents: Of its turns, user and assistant in alternation; none when a fault forbids it.
        images: Its images in order: a path, or the bytes themselves.
    """

    id: str
    faults: tuple[Fault, ...]
    empty: tuple[str, ...]
    system: str = ""
    contents: tuple[str, ...] = ()
    images: tuple[str | bytes, ...] = ()

    @property
    def dropped(self) -> bool:
        """Whether LLaMA-Factory drops the row and goes on."""
        return any(kind.severity is Severity.DROPS for kind, _ in self.faults)


class _Faulty(Exception):
    def __init__(self, kind: Kind, detail: str) -> None:
        super().__init__(detail)
        self.fault = Fault(kind, detail)


def check_row(value: object, entry: Entry) -> Row:
    """Checks a row.

    Args:
        value: As decoded from JSON or Parquet.
        entry: Which columns and tags it has.
    """
    if not isinstance(value, dict):
        return Row("", (Fault(Kind.NOT_AN_OBJECT, f"the row is {shown(value)}"),), ())
    known = value.get("id")
    id = printable(str(known)[:100]) if isinstance(known, str | int) else ""
    empty = tuple(name for name in NULLABLE if _is_empty(name, _column(value, entry, name)))
    media = {name: _media(_column(value, entry, name)) for name, _, _ in _MEDIA}
    # Paths are joined in rows that are dropped too.
    faults = [fault for name in media for fault in _unjoinable(name, media[name])]
    try:
        system, turns = _aligned(value, entry)
    except _Faulty as faulty:
        return Row(id, (faulty.fault, *faults), empty)
    if isinstance(system, str) and "system" in empty:
        empty = tuple(name for name in empty if name != "system")
    if system is not None and not isinstance(system, str):
        faults.append(Fault(Kind.SYSTEM_NOT_TEXT, f"the system prompt is {shown(system)}"))
    tools = _column(value, entry, "tools")
    faults += _tools(tools) if tools else []
    images: list[str | bytes] = []
    for image in media["images"]:
        taken = _image(image, media["images"])
        if isinstance(taken, Fault):
            faults.append(taken)
        else:
            images.append(taken)
    contents = [content for _, content in turns]
    for number, (role, content) in enumerate(turns):
        if not isinstance(content, str):
            faults.append(
                Fault(Kind.CONTENT_NOT_TEXT, f"turn {number} has {shown(content)} as content")
            )
        elif role == entry.tags.get("function_tag"):  # None too, where that is not listed
            faults += _function_call(number, content)
    if any(kind is Kind.CONTENT_NOT_TEXT for kind, _ in faults):
        return Row(id, _once(faults), empty, images=tuple(images))
    for name, word, kind in _MEDIA:
        counted = sum(content.count(word) for content in contents)
        if counted != len(media[name]):
            # An empty path is somebody's word for no image: there is no file to look for.
            images = [image for image in images if image != ""]
            faults.append(
                Fault(kind, _miscount(value, entry, name, word, counted, len(media[name])))
            )
    return Row(id, _once(faults), empty, system or "", tuple(contents), tuple(images))


def _once(faults: list[Fault]) -> tuple[Fault, ...]:
    """The first fault of each kind: rows are counted, not turns."""
    kinds = [fault.kind for fault in faults]
    return tuple(fault for at, fault in enumerate(faults) if fault.kind not in kinds[:at])


def _column(value: dict[str, Any], entry: Entry, name: str) -> Any:
    column = entry.columns.get(name)
    if column is None:
        return "" if name in ("system", "tools") else None
    return value.get(column)


def _is_empty(name: str, value: object) -> bool:
    return value is None or (value == [] and name not in ("system", "tools"))


def _aligned(value: dict[str, Any], entry: Entry) -> tuple[Any, list[tuple[object, Any]]]:
    """System prompt, and role and content of each turn after it."""
    tags = entry.tags
    messages = value.get(entry.columns["messages"])
    if not isinstance(messages, list):
        raise _Faulty(Kind.MESSAGES_INVALID, f"{entry.columns['messages']} is {shown(messages)}")
    for number, turn in enumerate(messages):
        if not isinstance(turn, dict):
            raise _Faulty(Kind.MESSAGES_INVALID, f"turn {number} is {shown(turn)}")
    turns = [(turn.get(tags["role_tag"]), turn.get(tags["content_tag"])) for turn in messages]
    system = _column(value, entry, "system")
    if turns and "system_tag" in tags and turns[0][0] == tags["system_tag"]:
        system = turns.pop(0)[1]
    users = (tags["user_tag"], tags.get("observation_tag"))
    assistants = (tags["assistant_tag"], tags.get("function_tag"))
    for number, (role, _) in enumerate(turns):
        # A tag that is not listed is None, and a turn without a role has it.
        if role not in (users, assistants)[number % 2]:
            raise _Faulty(*_role_fault(number, role, tags))
    if not turns:
        raise _Faulty(Kind.NO_TURNS, "there is no turn but the system's")
    if len(turns) % 2:
        raise _Faulty(Kind.ODD_TURNS, f"{len(turns)} turns after the system's")
    if "system_tag" not in tags and any(role is None for role, _ in turns):
        raise _Faulty(Kind.MESSAGES_INVALID, "a turn has no role, and system_tag is not listed")
    return system, turns


def _role_fault(number: int, role: object, tags: dict[str, str]) -> Fault:
    if number == 0 and role == "system" and "system_tag" not in tags:
        return Fault(Kind.SYSTEM_TAG_NOT_LISTED, "the first turn has role 'system'")
    roles = ("user_tag", "assistant_tag", "observation_tag", "function_tag", "system_tag")
    if role not in [tags[name] for name in roles if name in tags]:
        return Fault(Kind.ROLE_UNKNOWN, f"turn {number} has role {shown(role)}")
    return Fault(Kind.ROLES_OUT_OF_ORDER, f"turn {number} has role {shown(role)}")


def _media(value: object) -> list[Any]:
    """As LLaMA-Factory's ``_find_medias`` makes it: anything but a list is one item."""
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _unjoinable(name: str, items: list[Any]) -> list[Fault]:
    """What LLaMA-Factory cannot join with media_dir: the first item decides what it expects."""
    wrong: list[Any] = []
    if items and isinstance(items[0], str):
        wrong = [item for item in items if not isinstance(item, str)]
    elif items and isinstance(items[0], list):  # the frames of videos
        wrong = [
            item
            for item in items
            if not isinstance(item, list) or not all(isinstance(part, str) for part in item)
        ]
    return [Fault(Kind.IMAGE_FIELD_INVALID, f"{name} has {shown(wrong[0])}")] if wrong else []


def _image(image: object, images: list[Any]) -> str | bytes | Fault:
    if isinstance(image, str):
        if not _is_name(image):
            return Fault(Kind.IMAGE_MISSING, f"{shown(image)} is no name of a file")
        if isinstance(images[0], str):
            return image
        # Only where the first is a path are the paths joined with media_dir.
        return Fault(Kind.IMAGE_PATH_NOT_JOINED, f"{shown(image)} stands behind {shown(images[0])}")
    if isinstance(image, bytes) and not isinstance(images[0], str):
        return image
    if not isinstance(image, dict) or isinstance(images[0], str):
        return Fault(Kind.IMAGE_FIELD_INVALID, f"an image is {shown(image)}")
    if "bytes" not in image:
        return Fault(Kind.IMAGE_STRUCT_INCOMPLETE, f"there is no bytes in {shown(image)}")
    if isinstance(image["bytes"], bytes):
        return image["bytes"]
    if image["bytes"] is not None:
        return Fault(Kind.IMAGE_FIELD_INVALID, f"bytes is {shown(image['bytes'])}")
    path = image.get("path")
    if not isinstance(path, str) or not _is_name(path):
        return Fault(Kind.IMAGE_STRUCT_INCOMPLETE, f"neither bytes nor path in {shown(image)}")
    if not path.startswith("/"):
        return Fault(Kind.IMAGE_PATH_NOT_JOINED, f"the path {shown(path)} stands in a struct")
    return path


def _is_name(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:  # an unpaired surrogate
        return False
    return True


def _function_call(number: int, content: str) -> list[Fault]:
    text = _THOUGHT.sub("", content)
    try:
        calls = json.loads(text)
    except (ValueError, RecursionError):
        return [Fault(Kind.FUNCTION_CALL_INVALID, f"turn {number} is {shown(content)}")]
    for call in calls if isinstance(calls, list) else [calls]:
        if not isinstance(call, dict) or not {"name", "arguments"} <= call.keys():
            return [Fault(Kind.FUNCTION_CALL_INVALID, f"turn {number} calls {shown(call)}")]
    return []


def _tools(tools: object) -> list[Fault]:
    try:
        listed = json.loads(tools) if isinstance(tools, str) else None
    except (ValueError, RecursionError):
        listed = None
    # An empty object has no tools in it, which is as good as an empty list.
    if listed in ([], {}, "") or (
        isinstance(listed, list) and all(isinstance(tool, dict) for tool in listed)
    ):
        return []
    return [Fault(Kind.TOOLS_INVALID, f"tools is {shown(tools)}")]


def _miscount(
    value: dict[str, Any], entry: Entry, name: str, word: str, counted: int, given: int
) -> str:
    text = f"{counted} {word} in the turns, {given} in {entry.columns.get(name, name)}"
    if name not in entry.columns and value.get(name):
        return f"{text}: columns does not list {name}"
    return text
