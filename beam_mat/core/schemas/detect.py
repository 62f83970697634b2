"""Decides which schema a shard has, by the shape of its records.

One record decides, unless several schemas have its shape. Then the next records are looked at. If
none of them decides, the simplest of these schemas is used, which reads them in the same way.
"""

import re
from typing import Any

import msgspec

from beam_mat.core.schemas.draft import Record, is_empty
from beam_mat.core.trajectory import Schema

V1 = "LLaMA-Factory v1"
ANTHROPIC = "Anthropic"
UNREAD = (V1, ANTHROPIC)
"""Shapes that are recognised but not read."""


class Shape(msgspec.Struct, frozen=True):
    """The shape of a record.

    Attributes:
        schema: The value of a `Schema`, one of `UNREAD`, or "" if it is none of these.
        why: What shows this, for people.
        also: Other schemas whose records may look like this. If there are any, the record does not
            decide.
    """

    schema: str
    why: str
    also: tuple[Schema, ...] = ()


NONE = Shape("", "")


def shape_of(record: Record) -> Shape:
    """The shape of a record; the order of the rules matters."""
    key = "messages" if isinstance(record.get("messages"), list) else "conversations"
    turns = record.get(key)
    turns = [turn for turn in turns if isinstance(turn, dict)] if isinstance(turns, list) else []
    if not turns:
        return NONE
    by_parts = _by_parts(turns) if key == "messages" else None
    if by_parts:
        return by_parts
    if all(isinstance(record.get(name), dict | list) for name in ("chosen", "rejected")):
        return Shape(Schema.RANKING.value, "it has chosen and rejected")
    role = "role" in turns[0]
    if key == "messages" and role:
        return _messages(record, turns)
    if role:
        return Shape(Schema.MAT.value, "conversations have role and content")
    if "from" in turns[0]:
        return _from_value(record, turns)
    return NONE


def _by_parts(turns: list[dict[str, Any]]) -> Shape | None:
    for turn in turns:
        if not is_empty(turn.get("tool_calls")) and "role" in turn:
            return Shape(Schema.OPENAI.value, "a turn has tool_calls")
        content = turn.get("content")
        for part in content if isinstance(content, list) else ():
            if isinstance(part, dict) and "value" in part:
                return Shape(V1, "the parts of a turn have type and value")
            kind = part.get("type") if isinstance(part, dict) else None
            if kind in ("tool_use", "tool_result") or (kind == "image" and "source" in part):
                return Shape(ANTHROPIC, f"a turn has a part of the type {kind}")
            return Shape(Schema.OPENAI.value, "the content of a turn is a list of parts")
    return None


_SWIFT_KEYS = "objects label channel rejected_response rejected_images rejected_messages".split()


def _messages(record: Record, turns: list[dict[str, Any]]) -> Shape:
    for key in _SWIFT_KEYS:
        if not is_empty(record.get(key)):
            return Shape(Schema.MS_SWIFT.value, f"it has the key {key}")
    for turn in turns:
        if turn.get("role") in ("tool_call", "tool_response"):
            return Shape(Schema.MS_SWIFT.value, f"a turn has the role {turn['role']}")
        if turn.get("role") in ("function_call", "observation"):
            return Shape(Schema.SHAREGPT.value, f"a turn has the role {turn['role']}")
    if not is_empty(record.get("kto_tag")):
        return Shape(Schema.SHAREGPT.value, "it has the key kto_tag")
    also = (Schema.MS_SWIFT, Schema.OPENAI)
    return Shape(Schema.SHAREGPT.value, "messages have role and content", also)


def _from_value(record: Record, turns: list[dict[str, Any]]) -> Shape:
    if any("<img>" in turn["value"] for turn in turns if isinstance(turn.get("value"), str)):
        return Shape(Schema.QWEN_VL.value, "a turn has <img>")
    for turn in turns:
        for key in ("recipient", "end_turn"):
            if key in turn:
                return Shape(Schema.AGUVIS.value, f"a turn has the key {key}")
    why = "conversations have from and value"
    if is_empty(record.get("image")) and is_empty(record.get("images")):
        return Shape(Schema.LLAVA.value, why, (Schema.AGUVIS, Schema.QWEN_VL))
    return Shape(Schema.LLAVA.value, f"{why}, and it has images", ())


def fits(shape: Shape, schema: Schema) -> bool:
    """Whether a record of this shape may be in a shard of a schema.

    A record without a known shape may: the schema's reader says what is wrong with it.
    """
    if not shape.schema or shape.schema == schema.value or schema in shape.also:
        return True
    # A set of AGUVIS may have records without its two keys.
    return schema is Schema.AGUVIS and shape.schema == Schema.LLAVA.value


_SIGNS = {
    Schema.SHAREGPT: re.compile(
        rb'"(?:tool_call|tool_calls|tool_response|function_call|observation|objects|label|channel|'
        rb'kto_tag|chosen|rejected_[a-z]+|conversations)"|"content"\s*:\s*\['
    ),
    Schema.LLAVA: re.compile(rb'"(?:images?|recipient|end_turn|chosen|role)"|<img>'),
}
"""For the schemas of records that do not decide: bytes without which no later record decides."""


class Detector:
    """Looks at the records of a shard, in order, until one decides. A `given` schema is decided."""

    def __init__(self, given: Schema | None = None) -> None:
        self._first: tuple[Schema, str] | None = None
        self.decided = (given, "") if given else None

    def look(self, index: int, record: object) -> bool:
        """Looks at a decoded record. Returns whether the schema is decided."""
        shape = shape_of(record) if isinstance(record, dict) else NONE
        if shape.schema and shape.schema not in UNREAD:
            found = Schema(shape.schema), f"record {index}: {shape.why}"
            if not shape.also:
                self.decided = found
            elif self._first is None:
                self._first = found
        return self.decided is not None

    def is_vain(self, raw: bytes) -> bool:
        """Whether no record in these bytes can decide. Finding this out costs little."""
        return self._first is not None and not _SIGNS[self._first[0]].search(raw)

    def result(self) -> tuple[Schema, str]:
        """The schema, and what shows it. A shard without any known shape is read as MAT."""
        return self.decided or self._first or (Schema.MAT, "no record has a known shape")
