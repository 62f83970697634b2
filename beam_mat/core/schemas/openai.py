"""OpenAI: turns whose content is text or a list of parts, and calls of tools as `tool_calls`.

Parts of Qwen's form, ``{"type": "image", "image": path}``, are read too.
"""

from collections.abc import Mapping
from typing import Any

from beam_mat.core.inline import inline_image
from beam_mat.core.reject import Reason
from beam_mat.core.schemas.draft import (
    Draft,
    Record,
    check_order,
    count_keys,
    count_turn_keys,
    id_of,
    listed_turns,
    split_system,
)
from beam_mat.core.schemas.tools import NEXT_RESULT, call_of, call_turn, tools_of
from beam_mat.core.trajectory import (
    ASSISTANT,
    CALL,
    IMAGE,
    OBSERVATION,
    QUESTIONS,
    SYSTEM,
    USER,
    FaultyError,
    Turn,
    kind_of,
    respell,
    shown,
)

_ROLES = {
    "system": SYSTEM,
    "developer": SYSTEM,
    "user": USER,
    "assistant": ASSISTANT,
    "tool": OBSERVATION,
    "function": OBSERVATION,
}
_KEYS = frozenset({"role", "content", "tool_calls"})
_IGNORED = frozenset({"tool_call_id", "name", "refusal", "annotations"})
_TEXTS = ("text", "input_text", "output_text")
_IMAGES = ("image_url", "input_image", "image")


def read(record: Record) -> Draft:
    """Reads a record of OpenAI's chat form."""
    listed = listed_turns(record, "messages")
    images = list[str]()
    turns = list[Turn]()
    draft = Draft(id_of(record), "", turns, images, tools=tools_of(record, always=True))
    results = 0
    for number, item in enumerate(listed):
        turn = _turn(draft, number, item, images)
        if results and turn.role == OBSERVATION:
            joined = f"{turns[-1].content}{NEXT_RESULT}{turn.content}"
            turns[-1] = Turn(OBSERVATION, joined)
        else:
            turns.append(turn)
        results = turn.role == OBSERVATION
    draft.system = split_system(record, turns, "system")
    check_order(turns, len(listed) > len(turns))
    unknown = count_keys(record, {"messages", "tools", "system"})
    draft.unknown = unknown + count_turn_keys(listed, _KEYS, _IGNORED)
    return draft


def _turn(draft: Draft, number: int, item: object, images: list[str]) -> Turn:
    if not isinstance(item, dict):
        detail = f"turn {number} is {kind_of(item)}, not an object"
        raise FaultyError(Reason.CONTENT_NOT_TEXT, detail)
    name = item.get("role")
    role = _ROLES.get(name) if isinstance(name, str) else None
    if role is None:
        detail = f"turn {number} has the role {shown(name)}"
        raise FaultyError(Reason.UNKNOWN_ROLE, detail)
    before = len(images)
    text = _content(draft, number, item.get("content"), images)
    if len(images) > before and role not in QUESTIONS:
        detail = f"turn {number} has an image, but its role is {role}"
        raise FaultyError(Reason.PLACEHOLDER_WITHOUT_IMAGE, detail)
    asked = item.get("tool_calls")
    if not asked:
        if not text.strip() and role != SYSTEM:
            raise FaultyError(Reason.CONTENT_NOT_TEXT, f"turn {number} is empty")
        return Turn(role, text)
    if not isinstance(asked, list) or role != ASSISTANT:
        detail = f"tool_calls of turn {number} is {shown(asked)}"
        raise FaultyError(Reason.TOOLS_INVALID, detail)
    made = call_turn(text, [_call(one) for one in asked])
    content, count = respell(made.content[len(text) :])
    draft.respelled += count
    return Turn(CALL, made.content[: len(text)] + content)


def _call(value: object) -> dict[str, Any]:
    function = value.get("function") if isinstance(value, dict) else None
    return call_of(function if function is not None else value)


def _content(draft: Draft, number: int, content: object, images: list[str]) -> str:
    """The text of a turn. Each image part becomes a placeholder; ``<image>`` in a text is text."""
    if content is None:
        return ""
    if isinstance(content, str):
        content = [{"type": "text", "text": content}]
    if not isinstance(content, list):
        detail = f"the content of turn {number} is {kind_of(content)}, not text or a list of parts"
        raise FaultyError(Reason.CONTENT_NOT_TEXT, detail)
    pieces = list[str]()
    for item in content:
        part = {"type": "text", "text": item} if isinstance(item, str) else item
        kind = part.get("type") if isinstance(part, dict) else None
        if kind in _TEXTS and isinstance(part.get("text"), str):
            text, count = respell(part["text"])
            draft.respelled += count
            pieces.append(text)
        elif kind in _IMAGES:
            images.append(_image(number, part))
            pieces.append(IMAGE)
        else:
            detail = f"turn {number} has the part {shown(part)}"
            raise FaultyError(Reason.KEY_NOT_SUPPORTED, f"{detail}; only text and images are read")
    return "".join(pieces)


def _image(number: int, part: Mapping[str, Any]) -> str:
    """The path of an image part; for a ``data:`` address, a path made of its hash."""
    value = part.get("image_url", part.get("image", part.get("url", part.get("path"))))
    if isinstance(value, dict):
        value = value.get("url", value.get("path"))
    if not isinstance(value, str):
        detail = f"turn {number} has the image {shown(part)}"
        raise FaultyError(Reason.IMAGE_FIELD_INVALID, f"{detail}, which is not a path or address")
    if value[:5].lower() != "data:":
        return value
    found = inline_image(value)
    if found is None:
        detail = f"an image of turn {number} is {shown(value)}"
        raise FaultyError(Reason.IMAGE_FIELD_INVALID, f"{detail}, which is not base64 of an image")
    return found[0]
