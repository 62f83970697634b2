"""Parses one record: takes its bytes, returns a trajectory or a fault, and never raises."""

import json
from typing import Any

import msgspec

from beam_mat.core.limits import MAX_NESTING
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
        record = msgspec.json.decode(raw)
    except RecursionError:
        raise FaultyError(Reason.MALFORMED_JSON, _TOO_DEEP) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        record = _decode_leniently(raw, error)
    if _too_deep(record):
        raise FaultyError(Reason.MALFORMED_JSON, _TOO_DEEP)
    return record


def _decode_leniently(raw: bytes, error: Exception) -> Any:
    # Python's json reads and writes NaN, Infinity and numbers of any size. A record is not
    # rejected for such a number in a field that training ignores.
    if b"NaN" in raw or b"Infinity" in raw or "out of range" in str(error):
        try:
            value = json.loads(raw.decode())
            json.dumps(value, ensure_ascii=False).encode()  # raises on unpaired surrogates
            return value
        except (ValueError, RecursionError):
            pass
    raise FaultyError(Reason.MALFORMED_JSON, str(error) or type(error).__name__) from None


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
