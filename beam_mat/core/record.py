"""Parses one MAT record: takes its bytes, returns a trajectory or a fault, and never raises.

Placeholders are the words in a conversation that represent an image.
"""

import json
import re
from typing import Any

import msgspec

from beam_mat.core.layout import rewrite, unsafe
from beam_mat.core.limits import MAX_NESTING, MAX_RECORD_IMAGES
from beam_mat.core.reject import Reason

Prefixes = tuple[tuple[str, str], ...]

IMAGE = "<image>"
"""LLaMA-Factory's placeholder. It pairs the n-th one, counted over all turns, with image n."""

_PLACEHOLDER = re.compile(r"<image(?:_([0-9]{1,9}))?>")
_MEDIA = re.compile(r"<(image|video|audio)>")
_OTHER_MEDIA = re.compile(r"<(video|audio)>")


class Turn(msgspec.Struct, frozen=True):
    """One message of a conversation, as LLaMA-Factory reads it."""

    role: str
    content: str


class Trajectory(msgspec.Struct, frozen=True):
    """A valid record. Whether its images exist has not been checked yet.

    User and assistant turns alternate, and their number is even. The n-th path of `images` belongs
    to the n-th ``<image>`` of the user turns. `respelled` is the number of words, see `respell`.
    """

    id: str
    system: str
    turns: tuple[Turn, ...]
    images: tuple[str, ...]
    respelled: int = 0


class Fault(msgspec.Struct, frozen=True):
    """The reason for rejecting a record, the details, and the record's id if it is readable."""

    reason: Reason
    detail: str
    id: str | None = None


class _Faulty(Exception):
    """Its arguments are a reason and details."""


def parse(raw: bytes, prefixes: Prefixes) -> Trajectory | Fault:
    """Parses and validates one record; returns a fault if the record must be rejected.

    `prefixes` are pairs of an old and a new path prefix (`rewrite`).
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
        asked = [turn.content for turn in turns if turn.role == "user"]
        paths = tuple(_path_of(f, named) for text in asked for f in _PLACEHOLDER.finditer(text))
        if len(paths) > MAX_RECORD_IMAGES:
            detail = f"the record uses {len(paths)} images; the limit is {MAX_RECORD_IMAGES}"
            raise _Faulty(Reason.RECORD_TOO_LARGE, detail)
        unused = sorted(set(named.values()) - set(paths))
        if unused:
            detail = f"no user turn has a placeholder for the image {unused[0]!r}"
            raise _Faulty(Reason.IMAGE_WITHOUT_PLACEHOLDER, detail)
    except _Faulty as faulty:
        reason, detail = faulty.args
        return Fault(reason, detail, known)
    system, respelled = _respelled_system(system)
    output = []
    for turn in turns:
        content, count = respell(turn.content, turn.role)
        respelled += count
        output.append(Turn(turn.role, content))
    return Trajectory(known, system, tuple(output), paths, respelled)


def _decode(raw: bytes) -> Any:
    try:
        return msgspec.json.decode(raw)
    except RecursionError:
        raise _Faulty(Reason.MALFORMED_JSON, _TOO_DEEP) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        # Python's json reads and writes NaN, Infinity and numbers of any size. A record is not
        # rejected for such a number in a field that training ignores.
        if b"NaN" in raw or b"Infinity" in raw or "out of range" in str(error):
            try:
                value = json.loads(raw.decode())
                json.dumps(value, ensure_ascii=False).encode()  # raises on unpaired surrogates
                return value
            except (ValueError, RecursionError):
                pass
        raise _Faulty(Reason.MALFORMED_JSON, str(error) or type(error).__name__) from None


_TOO_DEEP = f"lists and objects are nested more than {MAX_NESTING} deep"


_CONTAINERS = (dict, list)


def _too_deep(value: object) -> bool:
    # The interpreter's recursion limit depends on the caller, and two steps have to agree.
    level: list[Any] = [value]
    for _ in range(MAX_NESTING):
        level = [
            inner
            for outer in level
            if type(outer) in _CONTAINERS
            for inner in (outer.values() if type(outer) is dict else outer)
            if type(inner) in _CONTAINERS
        ]
        if not level:
            return False
    return True


def _kind(value: object) -> str:
    names = {dict: "an object", list: "a list", str: "text", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number")


def _shown(value: object) -> str:
    text = "null" if value is None else repr(value)
    return text if len(text) <= 200 else text[:200] + "…"


def _id(record: dict[str, Any]) -> str:
    value = record.get("id")
    if isinstance(value, str) and value:
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if "id" not in record:
        raise _Faulty(Reason.NO_ID, "the record has no key 'id'")
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
        # Older files have the system prompt in a key of its own.
        older = record.get("system-prompt")
        if older is not None and not isinstance(older, str):
            raise _Faulty(Reason.CONTENT_NOT_TEXT, f"system-prompt is {_kind(older)}")
        system = older or ""
    if not turns:
        raise _Faulty(Reason.NO_TURNS, "conversations has only a system turn")
    for number, turn in enumerate(turns):
        expected = ("user", "assistant")[number % 2]
        if turn.role != expected:
            at = number + len(listed) - len(turns)
            detail = f"turn {at} has the role {turn.role}, not {expected}"
            raise _Faulty(Reason.ROLES_OUT_OF_ORDER, detail)
    if len(turns) % 2:
        raise _Faulty(Reason.ODD_TURNS, f"the last of {len(turns)} turns has the role user")
    return system, turns


def _turn(number: int, item: object) -> Turn:
    if not isinstance(item, dict):
        raise _Faulty(Reason.CONTENT_NOT_TEXT, f"turn {number} is {_kind(item)}, not an object")
    role, content = item.get("role"), item.get("content")
    if role not in ("system", "user", "assistant"):
        raise _Faulty(Reason.UNKNOWN_ROLE, f"turn {number} has the role {_shown(role)}")
    if not isinstance(content, str):
        detail = f"the content of turn {number} is {_kind(content)}, not text"
        raise _Faulty(Reason.CONTENT_NOT_TEXT, detail)
    if not content.strip() and role != "system":
        raise _Faulty(Reason.CONTENT_NOT_TEXT, f"turn {number} is empty")
    return Turn(role, content)


def _images(record: dict[str, Any], prefixes: Prefixes) -> dict[int | None, str]:
    """The record's images by placeholder number. None is the key of the plain ``<image>``."""
    value = record.get("image")
    if isinstance(value, str) and value.lstrip().startswith("{"):
        try:
            value = msgspec.json.decode(value)
        except (msgspec.DecodeError, RecursionError) as error:
            detail = f"image contains invalid JSON: {error}"
            raise _Faulty(Reason.IMAGE_FIELD_INVALID, detail) from None
    if not value and (value is None or isinstance(value, str | dict)):
        return {}
    if isinstance(value, str):
        return {None: _path(value, prefixes)}
    if not isinstance(value, dict):
        raise _Faulty(Reason.IMAGE_FIELD_INVALID, f"image is {_kind(value)}: {_shown(value)}")
    named: dict[int | None, str] = {}
    for token, path in value.items():
        found = _PLACEHOLDER.fullmatch(token)
        if not found:
            detail = f"image has the key {_shown(token)}, not <image> or <image_NN>"
            raise _Faulty(Reason.IMAGE_FIELD_INVALID, detail)
        number = _number(found)
        if not isinstance(path, str):
            raise _Faulty(Reason.IMAGE_FIELD_INVALID, f"{token} is {_kind(path)}, not a path")
        if number in named:
            raise _Faulty(Reason.IMAGE_FIELD_INVALID, f"image has two paths for {token}")
        named[number] = _path(path, prefixes)
    return named


def _path(path: str, prefixes: Prefixes) -> str:
    path = rewrite(path, prefixes)
    why = unsafe(path)
    if why:
        raise _Faulty(Reason.UNSAFE_PATH, why)
    return path


def _path_of(found: re.Match[str], named: dict[int | None, str]) -> str:
    number = _number(found)
    if number in named:
        return named[number]
    # If there is only one image, both <image> and <image_00> refer to it.
    if len(named) == 1 and (number is None or (number == 0 and None in named)):
        return next(iter(named.values()))
    held = ", ".join(sorted("<image>" if n is None else f"<image_{n:02}>" for n in named))
    detail = f"a user turn has {found[0]}, but the image field has {held or 'no image'}"
    raise _Faulty(Reason.PLACEHOLDER_WITHOUT_IMAGE, detail)


def _number(found: re.Match[str]) -> int | None:
    return None if found[1] is None else int(found[1])


def respell(text: str, role: str) -> tuple[str, int]:
    """Respells words that LLaMA-Factory would count as media: ``<image>`` becomes ``< image>``.

    In user turns, each placeholder becomes a plain ``<image>`` instead. Returns the text, and the
    number of respelled words.

    >>> respell("The tag <image> represents an image, <image_00> the first one.", "system")
    ('The tag < image> represents an image, <image_00> the first one.', 1)
    >>> respell("<image_00> is left of <image_01>", "user")
    ('<image> is left of <image>', 0)
    """
    if "<" not in text:
        return text, 0
    if role == "user":
        return _OTHER_MEDIA.subn(r"< \1>", _PLACEHOLDER.sub(IMAGE, text))
    return _MEDIA.subn(r"< \1>", text)


def _respelled_system(text: str) -> tuple[str, int]:
    """As `respell`. Records have one of a few long prompts, often of the same length.

    Looks a prompt up by every 64th character, because a hash of all takes longer than a comparison.
    """
    key = text[::64]
    known = _systems.get(key)
    if known is None or known[0] != text:
        known = text, respell(text, "system")
        if len(_systems) == _SYSTEMS:
            _systems.clear()
        if len(text) <= _SYSTEM_CHARACTERS:
            _systems[key] = known
    return known[1]


_SYSTEMS = 64
_SYSTEM_CHARACTERS = 1 << 17
_systems: dict[str, tuple[str, tuple[str, int]]] = {}
