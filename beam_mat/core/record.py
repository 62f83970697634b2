"""One MAT record: bytes in, a trajectory or the reason against it out, never an exception."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from beam_mat.core.limits import MAX_NESTING, MAX_RECORD_IMAGES
from beam_mat.core.path import rewrite, unsafe
from beam_mat.core.reject import Reason
from beam_mat.core.text import placeholder_number, placeholders, respell, unify

Prefixes = tuple[tuple[str, str], ...]


class Turn(msgspec.Struct, frozen=True):
    """One message of a conversation, as LLaMA-Factory reads it."""

    role: str
    content: str


class Trajectory(msgspec.Struct, frozen=True):
    """A record that is right in itself; whether its images are there is not known yet.

    Attributes:
        id: The record's id, as text.
        system: The system prompt, or "".
        turns: User and assistant turns, alternating, an even number of them.
        images: The n-th path belongs to the n-th ``<image>`` of the user turns.
        respelled: How many words were respelled (`beam_mat.core.text.respell`).
    """

    id: str
    system: str
    turns: tuple[Turn, ...]
    images: tuple[str, ...]
    respelled: int = 0


class Fault(msgspec.Struct, frozen=True):
    """Why a record is rejected, what was found in it, and its id where that could be read."""

    reason: Reason
    detail: str
    id: str | None = None


class _Faulty(Exception):
    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


def parse(raw: bytes, prefixes: Prefixes) -> Trajectory | Fault:
    """Validates one record.

    Args:
        raw: The record's bytes.
        prefixes: Pairs of path prefixes, old and new (`beam_mat.core.path.rewrite`).
    """
    known: str | None = None
    try:
        record = _decode(raw)
        if _too_deep(record):
            raise _Faulty(Reason.MALFORMED_JSON, _TOO_DEEP)
        if not isinstance(record, dict):
            raise _Faulty(Reason.NOT_AN_OBJECT, f"the record is {_kind(record)}")
        known = _id(record)
        system, turns = _turns(record)
        named = _images(record, prefixes)
        paths = tuple(path for turn in turns for path in _paths_of(turn, named))
        if len(paths) > MAX_RECORD_IMAGES:
            detail = f"{len(paths)} images, {MAX_RECORD_IMAGES} are allowed"
            raise _Faulty(Reason.RECORD_TOO_LARGE, detail)
        unused = sorted(set(named.values()) - set(paths))
        if unused:
            detail = f"{unused[0]!r} is named by no user turn"
            raise _Faulty(Reason.IMAGE_WITHOUT_PLACEHOLDER, detail)
    except _Faulty as fault:
        return Fault(fault.reason, fault.detail, known)
    system, respelled = respell(system)
    output = []
    for turn in turns:
        is_user = turn.role == "user"
        content = unify(turn.content) if is_user else turn.content
        content, count = respell(content, keep_image=is_user)
        respelled += count
        output.append(Turn(turn.role, content))
    return Trajectory(known, system, tuple(output), paths, respelled)


def _decode(raw: bytes) -> Any:
    try:
        return msgspec.json.decode(raw)
    except RecursionError:
        raise _Faulty(Reason.MALFORMED_JSON, _TOO_DEEP) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        # Python's json writes NaN, Infinity and numbers of any size, and reads them: a record is
        # not lost for a score that training never looks at.
        if b"NaN" in raw or b"Infinity" in raw or "out of range" in str(error):
            try:
                value = json.loads(raw.decode())
                json.dumps(value, ensure_ascii=False).encode()  # finds unpaired surrogates
                return value
            except (ValueError, RecursionError):
                pass
        raise _Faulty(Reason.MALFORMED_JSON, str(error) or type(error).__name__) from None


_TOO_DEEP = f"lists and objects stand more than {MAX_NESTING} deep in each other"


def _too_deep(value: object) -> bool:
    # The interpreter's own bound depends on who calls, and two steps have to agree on a record.
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(MAX_NESTING):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, dict | list)
        ]
        if not level:
            return False
    return True


def _kind(value: object) -> str:
    names = {dict: "an object", list: "a list", str: "text", bool: "a boolean"}
    if value is None:
        return "null"
    return names.get(type(value), "a number")


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 200 else text[:200] + "…"


def _id(record: dict[str, Any]) -> str:
    value = record.get("id")
    if isinstance(value, str) and value:
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if "id" not in record:
        raise _Faulty(Reason.NO_ID, "there is no key id")
    raise _Faulty(Reason.NO_ID, f"id is {_shown(value)}")


def _turns(record: dict[str, Any]) -> tuple[str, list[Turn]]:
    listed = record.get("conversations")
    if not isinstance(listed, list) or not listed:
        what = "missing" if "conversations" not in record else _shown(listed)
        raise _Faulty(Reason.NO_TURNS, f"conversations is {what}")
    turns = [_turn(number, item) for number, item in enumerate(listed)]
    if turns[0].role == "system":
        system = turns.pop(0).content
    else:
        # Older files keep the system prompt beside the conversation.
        older = record.get("system-prompt")
        if older is not None and not isinstance(older, str):
            raise _Faulty(Reason.CONTENT_NOT_TEXT, f"system-prompt is {_kind(older)}")
        system = older or ""
    if not turns:
        raise _Faulty(Reason.NO_TURNS, "conversations holds nothing but a system turn")
    for number, turn in enumerate(turns):
        expected = ("user", "assistant")[number % 2]
        if turn.role != expected:
            at = number + len(listed) - len(turns)
            detail = f"turn {at} is {turn.role}, {expected} was expected"
            raise _Faulty(Reason.ROLES_OUT_OF_ORDER, detail)
    if len(turns) % 2:
        detail = f"{len(turns)} turns, the last one is the user's"
        raise _Faulty(Reason.ODD_TURNS, detail)
    return system, turns


def _turn(number: int, item: object) -> Turn:
    if not isinstance(item, dict):
        raise _Faulty(Reason.CONTENT_NOT_TEXT, f"turn {number} is {_kind(item)}, not an object")
    role, content = item.get("role"), item.get("content")
    if role not in ("system", "user", "assistant"):
        raise _Faulty(Reason.UNKNOWN_ROLE, f"turn {number} has role {_shown(role)}")
    if not isinstance(content, str):
        raise _Faulty(Reason.CONTENT_NOT_TEXT, f"turn {number} has {_kind(content)} as content")
    if not content.strip() and role != "system":
        raise _Faulty(Reason.CONTENT_NOT_TEXT, f"turn {number} is empty")
    return Turn(role, content)


def _images(record: dict[str, Any], prefixes: Prefixes) -> dict[int | None, str]:
    """The record's images by placeholder number; None stands for the plain ``<image>``."""
    value = record.get("image")
    if isinstance(value, str) and value.lstrip().startswith("{"):
        try:
            value = msgspec.json.decode(value)
        except (msgspec.DecodeError, RecursionError) as error:
            detail = f"image holds broken JSON: {error}"
            raise _Faulty(Reason.IMAGE_FIELD_INVALID, detail) from None
    if not value and (value is None or isinstance(value, str | dict)):
        return {}
    if isinstance(value, str):
        return {None: _path(value, prefixes)}
    if not isinstance(value, dict):
        raise _Faulty(Reason.IMAGE_FIELD_INVALID, f"image is {_kind(value)}: {_shown(value)}")
    named: dict[int | None, str] = {}
    for token, path in value.items():
        try:
            number = placeholder_number(token)
        except ValueError:
            detail = f"image has the key {_shown(token)}, not <image> or <image_NN>"
            raise _Faulty(Reason.IMAGE_FIELD_INVALID, detail) from None
        if not isinstance(path, str):
            raise _Faulty(Reason.IMAGE_FIELD_INVALID, f"{token} is {_kind(path)}, not a path")
        if number in named:
            raise _Faulty(Reason.IMAGE_FIELD_INVALID, f"two paths for {token}")
        named[number] = _path(path, prefixes)
    return named


def _path(path: str, prefixes: Prefixes) -> str:
    path = rewrite(path, prefixes)
    why = unsafe(path)
    if why:
        raise _Faulty(Reason.UNSAFE_PATH, why)
    return path


def _paths_of(turn: Turn, named: dict[int | None, str]) -> list[str]:
    if turn.role != "user":
        return []
    return [_path_of(token, named) for token in placeholders(turn.content)]


def _path_of(token: str, named: dict[int | None, str]) -> str:
    number = placeholder_number(token)
    if number in named:
        return named[number]
    # With one image, <image> and <image_00> both mean it.
    if len(named) == 1 and (number is None or (number == 0 and None in named)):
        return next(iter(named.values()))
    held = ", ".join(sorted("<image>" if n is None else f"<image_{n:02}>" for n in named))
    detail = f"{token} in a user turn; the image field holds {held or 'nothing'}"
    raise _Faulty(Reason.PLACEHOLDER_WITHOUT_IMAGE, detail)
