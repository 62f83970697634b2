"""Finds the list of records in a file that is one object, such as ``{"data": [...]}``.

Reads only the structure, like `beam_mat.core.scan`, in one pass and with bounded memory.
"""

import re
from collections.abc import Iterable

import msgspec

from beam_mat.core.display import one_line
from beam_mat.core.scan import Inside, without_escapes

MAX_KEYS = 64
"""Keys that are remembered. An object may have millions, such as one for each record."""
MAX_KEY_BYTES = 256
SHOWN = 8
"""Keys that a message lists."""

TURNS = frozenset({"conversations", "conversation", "messages", "texts", "turns", "dialogue"})
"""Keys under which records hold their turns. An object with one of them is a record itself."""


class Listed(msgspec.Struct, frozen=True):
    """A list under a top-level key. Its values are the bytes from `start` to `end`.

    `end` includes the closing bracket; it is None if the file ends before. `records` says that the
    first value is an object, `empty` that there is none.
    """

    key: str
    start: int
    end: int | None
    records: bool
    empty: bool


class Outline(msgspec.Struct, frozen=True):
    """What an object holds at its top level.

    `end` is the offset behind the object, or None if the file ends inside. `trailing` is where
    other data follows, or None.
    """

    keys: tuple[str, ...]
    lists: tuple[Listed, ...]
    end: int | None
    trailing: int | None


# Up to what matters at the top level. Escapes are masked before.
_TOP = re.compile(rb'[^"\[\]{},:]*')
_BLANK = re.compile(rb"[ \t\n\r]*")


def outline(blocks: Iterable[bytes], offset: int) -> Outline:
    """Reads an object whose opening brace is the byte `offset`, the first one of `blocks`."""
    keys: dict[str, None] = {}
    lists: dict[str, Listed] = {}
    raw = bytearray()  # the string at the top level that is being read
    key = ""
    depth, base = 0, offset
    in_string = expects_key = waits = False
    end: int | None = None
    for original, block in _masked(blocks):
        pos, size = 0, len(block)
        inside = Inside(block, level=1)
        while pos < size:
            if end is not None:
                pos = _stop(_BLANK, block, pos)
                if pos < size:
                    return Outline(tuple(keys), tuple(lists.values()), end, base + pos)
            elif waits:  # for the first value of a list at the top level
                pos = _stop(_BLANK, block, pos)
                if pos < size:
                    waits, found = False, lists.get(key)
                    if found and found.end is None:
                        first = block[pos : pos + 1]
                        lists[key] = msgspec.structs.replace(
                            found, records=first == b"{", empty=first == b"]"
                        )
            elif depth > 1:
                pos, in_string, depth = inside.leave(pos, in_string, depth)
                found = lists.get(key)
                if depth == 1 and found and found.end is None:
                    lists[key] = msgspec.structs.replace(found, end=base + pos)
            elif in_string:
                quote = block.find(b'"', pos)
                stop = size if quote < 0 else quote
                if expects_key and len(raw) < MAX_KEY_BYTES:
                    raw += original[pos : min(stop, pos + MAX_KEY_BYTES)]
                in_string = quote < 0
                pos = stop if in_string else stop + 1
            else:
                pos = _stop(_TOP, block, pos)
                if pos == size:
                    break
                byte = block[pos]
                pos += 1
                if byte == 0x22:
                    in_string = True
                    raw.clear()
                elif byte == 0x3A:
                    if expects_key:
                        key, expects_key = _text(raw), False
                        if len(keys) < MAX_KEYS:
                            keys[key] = None
                elif byte == 0x2C:
                    expects_key = True
                elif byte in b"[{":
                    if depth == 1 and byte == 0x5B and not expects_key:
                        if len(lists) < MAX_KEYS:
                            lists[key] = Listed(key, base + pos, None, False, False)
                        waits = True
                    depth += 1
                    expects_key = depth == 1
                else:
                    depth, end = 0, base + pos
        base += size
    return Outline(tuple(keys), tuple(lists.values()), end, None)


def _masked(blocks: Iterable[bytes]) -> Iterable[tuple[bytes, bytearray]]:
    """Pairs of a block and the same block with its escapes masked."""
    held: list[bytes] = []

    def noted() -> Iterable[bytes]:
        for block in blocks:
            held.append(block)
            yield block

    for clean in without_escapes(noted()):
        yield held.pop(), clean


def _stop(pattern: re.Pattern[bytes], block: bytes | bytearray, pos: int) -> int:
    found = pattern.match(block, pos)
    assert found is not None  # every pattern here also matches an empty text
    return found.end()


def _text(raw: bytes | bytearray) -> str:
    try:
        return msgspec.json.decode(b'"' + bytes(raw) + b'"', type=str)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return bytes(raw).decode("utf-8", "backslashreplace")


def choose(found: Outline, records: str) -> Listed | str | None:
    """The list of records, or why there is none, or None if the object is a record itself.

    `records` is the key that the user has named, or "".
    """
    for one in found.lists if records else ():
        if one.key == records:
            return one
    if not TURNS.isdisjoint(found.keys):
        return None
    if records:
        return (
            f"the file is one object, whose key {records!r} holds no list; "
            f"{_named(one.key for one in found.lists)}"
        )
    some = [one for one in found.lists if one.records]
    if not some and len(found.lists) == 1 and found.lists[0].empty:
        return found.lists[0]
    if len(some) == 1:
        return some[0]
    if some:
        listed = _shown(one.key for one in some)
        return (
            f"the file is one object, and several of its keys hold a list of objects: {listed}; "
            "name the one with the records, such as --records " + one_line(some[0].key)
        )
    return (
        "the file is one object, and none of its keys holds a list of objects "
        f"({_shown(found.keys) or 'it has no key'}); write the records as an array or as JSON Lines"
    )


def _named(keys: Iterable[str]) -> str:
    shown = _shown(keys)
    return f"these keys do: {shown}" if shown else "no key does"


def _shown(keys: Iterable[str]) -> str:
    listed = list(keys)
    more = f" and {len(listed) - SHOWN} more" if len(listed) > SHOWN else ""
    return one_line(", ".join(listed[:SHOWN])) + more
