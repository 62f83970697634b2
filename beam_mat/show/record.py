"""Reads records of any schema leniently, to print them: also those that no schema accepts."""

import json
from collections.abc import Iterator
from typing import Any

from beam_mat.core.contract.entry import Entry
from beam_mat.core.trajectory import IMAGE

RECORD = Entry(
    "",
    "",
    {name: name for name in ("messages", "system", "tools", "chosen", "rejected", "kto_tag")},
    {"role_tag": "role", "content_tag": "content"},
)
"""How the result of `row_of` is read."""

_KEYS = {
    "messages": ("messages", "conversations", "conversation"),
    "system": ("system", "system-prompt", "system_prompt"),
    "tools": ("tools",),
    "chosen": ("chosen",),
    "rejected": ("rejected", "rejected_response"),
    "kto_tag": ("kto_tag", "label"),
}
_ROLES = ("role", "from")
_CONTENTS = ("content", "value")
ADDRESS = 100
"""How many characters of an image's address are shown. It may contain the whole image."""


def row_of(record: object) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """What can be read as a row, see `RECORD`, and the other keys. None if there are no turns."""
    if not isinstance(record, dict):
        return None
    rest = dict(record)
    row = {name: _taken(rest, keys) for name, keys in _KEYS.items()}
    rest.pop("id", None)
    if not isinstance(row["messages"], list) or not row["messages"]:
        return None
    row["messages"] = [_turn(item) for item in row["messages"]]
    for name in ("chosen", "rejected"):
        value = row[name]
        if isinstance(value, list) and len(value) == 1:
            value = value[0]
        row[name] = _turn(value) if isinstance(value, dict) else value
    return row, rest


def _taken(record: dict[str, Any], keys: tuple[str, ...]) -> Any:
    """Removes the first of the keys that has a value."""
    for key in keys:
        if record.get(key) not in (None, ""):
            return record.pop(key)
    return None


def _turn(item: object) -> object:
    if not isinstance(item, dict):
        return item
    rest = dict(item)
    role, content = _taken(rest, _ROLES), _taken(rest, _CONTENTS)
    pieces = [] if content is None else ["".join(_parts(content))]
    others = {key: value for key, value in rest.items() if value not in (None, "")}
    if others:
        pieces.append(f"other keys: {json.dumps(others, ensure_ascii=False)}")
    return {"role": "(no role)" if role is None else role, "content": "\n".join(pieces)}


def _parts(content: object) -> Iterator[str]:
    for part in content if isinstance(content, list) else [content]:
        if isinstance(part, str):
            yield part
        elif not isinstance(part, dict):
            yield json.dumps(part, ensure_ascii=False)
        else:
            yield _part(dict(part))


def _part(part: dict[str, Any]) -> str:
    """The text of a part, or a placeholder and the address of an image, and other keys."""
    kind = part.get("type")
    image = part.get("image_url", part.get("image"))
    if kind == "text" and isinstance(part.get("text"), str):
        text = str(part.pop("text"))
    elif isinstance(image, str):
        part.pop("image_url" if "image_url" in part else "image")
        text = f"{IMAGE} ({_short(image)}) "
    elif isinstance(image, dict) and isinstance(image.get("url"), str):
        url = image["url"]
        part["image_url"] = {key: value for key, value in image.items() if key != "url"}
        text = f"{IMAGE} ({_short(url)}) "
    else:
        return json.dumps(part, ensure_ascii=False)
    if kind in ("text", "image_url", "image"):
        del part["type"]
    others = {key: value for key, value in part.items() if value not in (None, {})}
    return text + (json.dumps(others, ensure_ascii=False) if others else "")


def _short(address: str) -> str:
    return address if len(address) <= ADDRESS else f"{address[:ADDRESS]}…"
