"""Why a record is not in the dataset: all reasons, each with an explanation and a remedy.

The explanations are in ``reject.json`` beside this module.
"""

from enum import Enum
from importlib import resources

import msgspec


class Reason(str, Enum):
    """Every reason for rejecting a record. The output files contain the value."""

    SHARD_BREAKS_OFF = "shard_breaks_off"
    MALFORMED_JSON = "malformed_json"
    NOT_AN_OBJECT = "not_an_object"
    RECORD_TOO_LARGE = "record_too_large"
    OTHER_SCHEMA = "other_schema"
    NO_ID = "no_id"
    NO_TURNS = "no_turns"
    UNKNOWN_ROLE = "unknown_role"
    ROLES_OUT_OF_ORDER = "roles_out_of_order"
    ODD_TURNS = "odd_turns"
    CONTENT_NOT_TEXT = "content_not_text"
    KEY_NOT_SUPPORTED = "key_not_supported"
    TOOLS_INVALID = "tools_invalid"
    PAIR_INVALID = "pair_invalid"
    IMAGE_FIELD_INVALID = "image_field_invalid"
    PLACEHOLDER_WITHOUT_IMAGE = "placeholder_without_image"
    IMAGE_WITHOUT_PLACEHOLDER = "image_without_placeholder"
    UNSAFE_PATH = "unsafe_path"
    DUPLICATE_ID = "duplicate_id"
    IMAGE_MISSING = "image_missing"
    IMAGE_UNDECODABLE = "image_undecodable"
    IMAGE_TRUNCATED = "image_truncated"
    IMAGE_TOO_LARGE = "image_too_large"
    IMAGE_CRASHES_DECODER = "image_crashes_decoder"
    IMAGE_TOO_SLOW = "image_too_slow"
    MEMBER_UNSUPPORTED = "member_unsupported"
    MEMBER_DAMAGED = "member_damaged"

    @property
    def sentence(self) -> str:
        """An explanation, and what the user can do about it."""
        return _SENTENCES[self]


_SENTENCES = msgspec.json.decode(
    resources.files(__package__ or "").joinpath("reject.json").read_bytes(), type=dict[Reason, str]
)


class Reject(msgspec.Struct, frozen=True):
    r"""One rejected record, and one line of ``rejects/*.jsonl``.

    `source` is the URI of the JSON shard, `index` the position of the record in it, `start` and
    `end` its byte range. `id` is None if it cannot be read. `record` has the original bytes as
    text, with those that are not UTF-8 as ``\xNN``: the first MAX_RAW_BYTES if it is truncated.
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
