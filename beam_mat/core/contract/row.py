"""Checks one row: takes a decoded value, returns its faults, and never raises.

It follows LLaMA-Factory's ``SharegptDatasetConverter`` and ``_validate_messages`` step by step. If
the converter drops a row, LLaMA-Factory does not look at it again, and neither does this module.
"""

import json
import re
from typing import Any

import msgspec

from beam_mat.core.contract.entry import Entry
from beam_mat.core.contract.finding import Finding, Kind, Severity, printable, shown

_MEDIA = {
    "images": ("<image>", Kind.IMAGE_COUNT),
    "videos": ("<video>", Kind.VIDEO_COUNT),
    "audios": ("<audio>", Kind.AUDIO_COUNT),
}
NULLABLE = ("system", "tools", *_MEDIA)
"""Columns that may be empty in a row. For these columns, the order of the rows matters."""
_THOUGHT = re.compile(r"<think>.*?</think>", re.DOTALL)


class Row(msgspec.Struct, frozen=True):
    """The result of checking a row.

    `empty` has the columns of `NULLABLE` that are empty in the row, `contents` those of the
    alternating user and assistant turns (none if they are invalid), and `images` paths or bytes.
    """

    id: str
    faults: tuple[Finding, ...]
    empty: tuple[str, ...]
    system: str = ""
    contents: tuple[str, ...] = ()
    images: tuple[str | bytes, ...] = ()

    @property
    def dropped(self) -> bool:
        """Whether LLaMA-Factory drops the row and continues."""
        return any(fault.kind.about.severity is Severity.DROPS for fault in self.faults)


def check_row(value: object, entry: Entry) -> Row:
    """Checks a row as decoded from JSON or Parquet. The entry names the columns and tags."""
    if not isinstance(value, dict):
        return Row("", (Finding(Kind.NOT_AN_OBJECT, f"the row is {shown(value)}"),), ())
    known = value.get("id")
    id = printable(str(known)[:100]) if isinstance(known, str | int) else ""
    unlisted = {"system": "", "tools": ""}
    columns = {
        name: value.get(entry.columns[name]) if name in entry.columns else unlisted.get(name)
        for name in NULLABLE
    }
    # LLaMA-Factory's _find_medias treats anything but a list as a single item.
    media: dict[str, list[Any]] = {
        name: column if isinstance(column, list) else [] if column is None else [column]
        for name, column in columns.items()
        if name in _MEDIA
    }
    empty = tuple(name for name in NULLABLE if columns[name] is None or media.get(name) == [])
    # LLaMA-Factory joins the paths of dropped rows too.
    faults = [fault for name in media for fault in _unjoinable(name, media[name])]
    aligned = _aligned(value.get(entry.columns["messages"]), columns["system"], entry)
    if isinstance(aligned, Finding):
        return Row(id, (aligned, *faults), empty)
    system, turns = aligned
    if isinstance(system, str):
        empty = tuple(name for name in empty if name != "system")
    elif system is not None:
        faults.append(Finding(Kind.SYSTEM_NOT_TEXT, f"the system prompt is {shown(system)}"))
    faults += _tools(columns["tools"]) if columns["tools"] else []
    images: list[str | bytes] = []
    for image in media["images"]:
        taken = _image(image, media["images"])
        if isinstance(taken, Finding):
            faults.append(taken)
        else:
            images.append(taken)
    contents = [content for _, content in turns]
    for number, (role, content) in enumerate(turns):
        if not isinstance(content, str):
            why = f"the content of turn {number} is {shown(content)}"
            faults.append(Finding(Kind.CONTENT_NOT_TEXT, why))
        elif role == entry.tags.get("function_tag"):  # both are None if the tag is not listed
            faults += _function_call(number, content)
    if any(fault.kind is Kind.CONTENT_NOT_TEXT for fault in faults):
        return Row(id, _once(faults), empty, images=tuple(images))
    for name, (word, kind) in _MEDIA.items():
        counted = sum(content.count(word) for content in contents)
        if counted != len(media[name]):
            # Some datasets use an empty path if there is no image. There is no file to look for.
            images = [image for image in images if image != ""]
            column = entry.columns.get(name, name)
            why = f"the turns have {counted} {word}, but {column} lists {len(media[name])}"
            if name not in entry.columns and value.get(name):
                why += f", because columns does not list {name}"
            faults.append(Finding(kind, why))
    return Row(id, _once(faults), empty, system or "", tuple(contents), tuple(images))


def _once(faults: list[Finding]) -> tuple[Finding, ...]:
    """The first fault of each kind, because violations are counted per row, not per turn."""
    kinds = [fault.kind for fault in faults]
    return tuple(fault for at, fault in enumerate(faults) if fault.kind not in kinds[:at])


def _aligned(
    messages: object, system: Any, entry: Entry
) -> tuple[Any, list[tuple[object, Any]]] | Finding:
    """The system prompt, and the role and content of each turn after it."""
    tags = entry.tags
    if not isinstance(messages, list):
        found = "missing or null" if messages is None else shown(messages)
        return Finding(Kind.MESSAGES_INVALID, f"{entry.columns['messages']} is {found}")
    for number, turn in enumerate(messages):
        if not isinstance(turn, dict):
            return Finding(Kind.MESSAGES_INVALID, f"turn {number} is {shown(turn)}")
    turns = [(turn.get(tags["role_tag"]), turn.get(tags["content_tag"])) for turn in messages]
    if turns and "system_tag" in tags and turns[0][0] == tags["system_tag"]:
        system = turns.pop(0)[1]
    users = (tags["user_tag"], tags.get("observation_tag"))
    assistants = (tags["assistant_tag"], tags.get("function_tag"))
    for number, (role, _) in enumerate(turns):
        # A tag that is not listed is None, so it matches a turn without a role.
        if role not in (users, assistants)[number % 2]:
            return _role_fault(number, role, tags)
    if not turns:
        return Finding(Kind.NO_TURNS, "there are no user and assistant turns")
    if len(turns) % 2:
        return Finding(Kind.ODD_TURNS, f"the number of turns, {len(turns)}, is odd")
    if "system_tag" not in tags and any(role is None for role, _ in turns):
        return Finding(Kind.MESSAGES_INVALID, "a turn has no role, and system_tag is not listed")
    return system, turns


def _role_fault(number: int, role: object, tags: dict[str, str]) -> Finding:
    if number == 0 and role == "system" and "system_tag" not in tags:
        return Finding(Kind.SYSTEM_TAG_NOT_LISTED, "the first turn has the role 'system'")
    roles = ("user_tag", "assistant_tag", "observation_tag", "function_tag", "system_tag")
    if role not in [tags[name] for name in roles if name in tags]:
        found = "no role" if role is None else f"the role {shown(role)}"
        return Finding(Kind.ROLE_UNKNOWN, f"turn {number} has {found}")
    return Finding(Kind.ROLES_OUT_OF_ORDER, f"turn {number} has the role {shown(role)}")


def _unjoinable(name: str, items: list[Any]) -> list[Finding]:
    """The items that LLaMA-Factory cannot join with media_dir. It expects the first one's type."""
    wrong: list[Any] = []
    if items and isinstance(items[0], str):
        wrong = [item for item in items if not isinstance(item, str)]
    elif items and isinstance(items[0], list):  # the frames of videos
        wrong = [
            item
            for item in items
            if not isinstance(item, list) or not all(isinstance(part, str) for part in item)
        ]
    return (
        [Finding(Kind.IMAGE_FIELD_INVALID, f"{name} contains {shown(wrong[0])}")] if wrong else []
    )


def _image(image: object, images: list[Any]) -> str | bytes | Finding:
    if isinstance(image, str):
        if not _is_name(image):
            return Finding(Kind.IMAGE_MISSING, f"{shown(image)} is not a valid file name")
        if isinstance(images[0], str):
            return image
        # Paths are joined with media_dir only if the first image is a path.
        why = f"the path {shown(image)} comes after {shown(images[0])}, which is not a path"
        return Finding(Kind.IMAGE_PATH_NOT_JOINED, why)
    if isinstance(image, bytes) and not isinstance(images[0], str):
        return image
    if not isinstance(image, dict) or isinstance(images[0], str):
        return Finding(Kind.IMAGE_FIELD_INVALID, f"an image is {shown(image)}")
    if "bytes" not in image:
        return Finding(Kind.IMAGE_STRUCT_INCOMPLETE, f"{shown(image)} has no field bytes")
    if isinstance(image["bytes"], bytes):
        return image["bytes"]
    if image["bytes"] is not None:
        return Finding(Kind.IMAGE_FIELD_INVALID, f"bytes is {shown(image['bytes'])}")
    path = image.get("path")
    if not isinstance(path, str) or not _is_name(path):
        return Finding(Kind.IMAGE_STRUCT_INCOMPLETE, f"{shown(image)} has neither bytes nor a path")
    if not path.startswith("/"):
        return Finding(Kind.IMAGE_PATH_NOT_JOINED, f"the path {shown(path)} is inside a struct")
    return path


def _is_name(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:  # an unpaired surrogate
        return False
    return True


def _function_call(number: int, content: str) -> list[Finding]:
    try:
        calls = json.loads(_THOUGHT.sub("", content))
    except (ValueError, RecursionError):
        return [Finding(Kind.FUNCTION_CALL_INVALID, f"turn {number} is {shown(content)}")]
    for call in calls if isinstance(calls, list) else [calls]:
        if not isinstance(call, dict) or not {"name", "arguments"} <= call.keys():
            return [
                Finding(Kind.FUNCTION_CALL_INVALID, f"turn {number} has the call {shown(call)}")
            ]
    return []


def _tools(tools: object) -> list[Finding]:
    try:
        listed = json.loads(tools) if isinstance(tools, str) else None
    except (ValueError, RecursionError):
        listed = None
    # LLaMA-Factory treats an empty object like an empty list.
    if listed in ([], {}, "") or (
        isinstance(listed, list) and all(isinstance(tool, dict) for tool in listed)
    ):
        return []
    return [Finding(Kind.TOOLS_INVALID, f"tools is {shown(tools)}")]
