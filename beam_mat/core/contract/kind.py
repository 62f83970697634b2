"""All kinds of violations, each with LLaMA-Factory's behaviour and a remedy.

Each kind was observed with LLaMA-Factory 0.9.5, see tests/llamafactory/test_check.py. The texts are
in ``kind.json`` beside this module.
"""

from __future__ import annotations

import functools
from enum import Enum
from importlib import resources

import msgspec


class Severity(str, Enum):
    """The consequence of a violation, the worst one first."""

    FAILS = "fails the job"
    DROPS = "row is dropped silently"
    DEGRADED = "degraded"


class Kind(str, Enum):
    """Every kind of violation. ``--json`` prints the value."""

    # The registry.
    REGISTRY_UNREADABLE = "registry_unreadable"
    ENTRY_INVALID = "entry_invalid"
    FORMATTING_NOT_SHAREGPT = "formatting_not_sharegpt"
    COLUMN_NOT_LISTED = "column_not_listed"
    TAG_NOT_LISTED = "tag_not_listed"
    COLUMN_UNKNOWN = "column_unknown"
    SPLIT_UNKNOWN = "split_unknown"
    # The files.
    FILE_NOT_FOUND = "file_not_found"
    FOLDER_EMPTY = "folder_empty"
    FOLDER_MIXED = "folder_mixed"
    FILE_TYPE_UNKNOWN = "file_type_unknown"
    FILE_UNREADABLE = "file_unreadable"
    FILE_NOT_CHECKED = "file_not_checked"
    NO_ROWS = "no_rows"
    MALFORMED_JSON = "malformed_json"
    NOT_AN_OBJECT = "not_an_object"
    # Types.
    TYPE_DRIFT = "type_drift"
    NULL_CAST = "null_cast"
    TEXT_STRETCH = "text_stretch"
    # Turns.
    MESSAGES_INVALID = "messages_invalid"
    NO_TURNS = "no_turns"
    ROLE_UNKNOWN = "role_unknown"
    SYSTEM_TAG_NOT_LISTED = "system_tag_not_listed"
    ROLES_OUT_OF_ORDER = "roles_out_of_order"
    ODD_TURNS = "odd_turns"
    BATCH_DROPPED = "batch_dropped"
    CONTENT_NOT_TEXT = "content_not_text"
    SYSTEM_NOT_TEXT = "system_not_text"
    FUNCTION_CALL_INVALID = "function_call_invalid"
    TOOLS_INVALID = "tools_invalid"
    # Media.
    IMAGE_COUNT = "image_count"
    VIDEO_COUNT = "video_count"
    AUDIO_COUNT = "audio_count"
    IMAGE_FIELD_INVALID = "image_field_invalid"
    IMAGE_STRUCT_INCOMPLETE = "image_struct_incomplete"
    IMAGE_PATH_NOT_JOINED = "image_path_not_joined"
    IMAGE_MISSING = "image_missing"
    IMAGE_UNDECODABLE = "image_undecodable"
    IMAGE_TOO_THIN = "image_too_thin"
    IMAGE_HUGE = "image_huge"
    IMAGE_FEATURE = "image_feature"
    # Lengths.
    IMAGE_TOKENS_CUT = "image_tokens_cut"
    ROW_CUT = "row_cut"

    @property
    def severity(self) -> Severity:
        """The consequence."""
        return _texts()[self].severity

    @property
    def happens(self) -> str:
        """A sentence that says what LLaMA-Factory does."""
        return _texts()[self].happens

    @property
    def cure(self) -> str:
        """A sentence that says what the user can do about it."""
        return _texts()[self].cure


class _Text(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    severity: Severity
    happens: str
    cure: str


@functools.cache
def _texts() -> dict[Kind, _Text]:
    data = resources.files(__package__ or "").joinpath("kind.json").read_bytes()
    return msgspec.json.decode(data, type=dict[Kind, _Text])
