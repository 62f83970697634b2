"""Why a record is not in the dataset: all reasons, each with an explanation and a remedy.

The explanations are in ``reject.json`` beside this module.
"""

from __future__ import annotations

import functools
from enum import Enum
from importlib import resources

import msgspec


class Reason(str, Enum):
    """Every reason for rejecting a record. The output files contain the value."""

    MALFORMED_JSON = "malformed_json"
    NOT_AN_OBJECT = "not_an_object"
    RECORD_TOO_LARGE = "record_too_large"
    NO_ID = "no_id"
    NO_TURNS = "no_turns"
    UNKNOWN_ROLE = "unknown_role"
    ROLES_OUT_OF_ORDER = "roles_out_of_order"
    ODD_TURNS = "odd_turns"
    CONTENT_NOT_TEXT = "content_not_text"
    IMAGE_FIELD_INVALID = "image_field_invalid"
    PLACEHOLDER_WITHOUT_IMAGE = "placeholder_without_image"
    IMAGE_WITHOUT_PLACEHOLDER = "image_without_placeholder"
    UNSAFE_PATH = "unsafe_path"
    DUPLICATE_ID = "duplicate_id"
    IMAGE_MISSING = "image_missing"
    IMAGE_UNDECODABLE = "image_undecodable"
    IMAGE_TRUNCATED = "image_truncated"
    IMAGE_TOO_LARGE = "image_too_large"
    MEMBER_UNSUPPORTED = "member_unsupported"
    MEMBER_DAMAGED = "member_damaged"

    @property
    def sentence(self) -> str:
        """An explanation, and what the user can do about it."""
        return _sentences()[self]


@functools.cache
def _sentences() -> dict[Reason, str]:
    data = resources.files(__package__ or "").joinpath("reject.json").read_bytes()
    return msgspec.json.decode(data, type=dict[Reason, str])


class Reject(msgspec.Struct, frozen=True):
    r"""One rejected record, and one line of ``rejects/*.jsonl``.

    Attributes:
        reason: Why the record is rejected.
        detail: The details of this record.
        source: URI of the JSON shard.
        index: Position of the record in its shard, from 0.
        start, end: Byte range of the record in its shard, end exclusive.
        id: The record's id, or None if it cannot be read.
        record: The original bytes as text. Bytes that are not UTF-8 are written as ``\xNN``.
        record_truncated: Whether `record` has only the first MAX_RAW_BYTES of the record.
    """

    reason: Reason
    detail: str
    source: str
    index: int
    start: int
    end: int
    id: str | None
    record: str
    record_truncated: bool = False
