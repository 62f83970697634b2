"""Parses one record: takes its bytes, returns a trajectory or a fault, and never raises."""

import json
import re
from typing import Any

import msgspec

from beam_mat.core.nesting import TooDeepError, require_shallow, require_shallow_text
from beam_mat.core.reject import Reason
from beam_mat.core.schemas.detect import UNREAD, Shape, fits, shape_of
from beam_mat.core.schemas.draft import finish, id_of
from beam_mat.core.schemas.table import TABLE
from beam_mat.core.trajectory import Fault, FaultyError, Reading, Schema, Trajectory, kind_of


def parse(raw: bytes, reading: Reading) -> Trajectory | Fault:
    """Parses and validates one record; returns a fault if the record must be rejected."""
    known: str | None = None
    try:
        record = decode(raw)
        if not isinstance(record, dict):
            raise FaultyError(Reason.NOT_AN_OBJECT, f"the record is {kind_of(record)}")
        known = id_of(record)
        shape = shape_of(record)
        if not fits(shape, reading.schema):
            raise FaultyError(Reason.OTHER_SCHEMA, _other(shape, reading.schema))
        return finish(TABLE[reading.schema].read(record), reading)
    except FaultyError as faulty:
        reason, detail = faulty.args
        return Fault(reason, detail, known)


def _other(shape: Shape, schema: Schema) -> str:
    if shape.schema in UNREAD:
        return f"the record has the shape of {shape.schema}, which is not read: {shape.why}"
    detail = f"the record has the shape of {shape.schema} ({shape.why})"
    return f"{detail}, but its shard is read as {schema.value}"


def decode(raw: bytes) -> Any:
    """Decodes a record. Raises FaultyError if it is not JSON or too deeply nested."""
    try:
        try:
            record = msgspec.json.decode(raw)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            require_shallow_text(raw)
            record = _decode_leniently(raw, error)
        require_shallow(record)
    except TooDeepError as error:
        raise FaultyError(Reason.MALFORMED_JSON, str(error)) from None
    return record


def _decode_leniently(raw: bytes, error: Exception) -> Any:
    # Python's json reads and writes NaN, Infinity and numbers of any size. A record is not
    # rejected for such a number in a field that training ignores.
    if b"NaN" in raw or b"Infinity" in raw or "out of range" in str(error):
        try:
            value = json.loads(raw.decode(), parse_int=_integer)
            json.dumps(value, ensure_ascii=False).encode()  # raises on unpaired surrogates
            return value
        except (ValueError, RecursionError):
            pass
    why = _cause(raw) or str(error) or type(error).__name__
    raise FaultyError(Reason.MALFORMED_JSON, why) from None


_MAX_DIGITS = 600
"""Digits of an integer, which Python converts in any configuration. Longer ones become infinite."""


def _integer(digits: str) -> float:
    return int(digits) if len(digits) <= _MAX_DIGITS else float(digits)


_ESCAPE = re.compile(rb"\\(?:u([0-9a-fA-F]{4})|.)", re.DOTALL)


def _cause(raw: bytes) -> str | None:
    r"""Why bytes are no JSON record, if there is a better word for it than a library's.

    >>> print(_cause(b'{"a": "\\ud83d"}'))
    unpaired surrogate \ud83d at byte 7 of the record
    >>> print(_cause(b'{"a": "\xff"}'))
    not UTF-8 at byte 7 of the record (0xff)
    """
    if raw.startswith(b"\xef\xbb\xbf"):
        return "byte order mark at the beginning of the record"
    try:
        raw.decode()
    except UnicodeDecodeError as error:
        byte = raw[error.start]
        return f"not UTF-8 at byte {error.start} of the record (0x{byte:02x})"
    if (at := raw.find(b"\0")) >= 0:
        return f"null byte at byte {at} of the record"
    half = _unpaired_surrogate(raw)
    if half is not None:
        return f"unpaired surrogate {raw[half : half + 6].decode()} at byte {half} of the record"
    return None


def _unpaired_surrogate(raw: bytes) -> int | None:
    """The offset of an escaped half of a pair that has no other half, or None."""
    high: int | None = None  # the offset of a first half
    for found in _ESCAPE.finditer(raw):
        code = int(found[1], 16) if found[1] else 0
        is_low = 0xDC00 <= code <= 0xDFFF
        if high is not None and not (is_low and found.start() == high + 6):
            return high
        if high is None and is_low:
            return found.start()
        high = found.start() if 0xD800 <= code <= 0xDBFF else None
    return high
