"""Violations of the contract: their kinds, locations and counts.

Each kind was observed with LLaMA-Factory 0.9.5, see tests/llamafactory/test_check.py. The texts are
in ``kind.json`` beside this module.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from importlib import resources

import msgspec

FIRST = 5
MAX_SHOWN = 90


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
    EVEN_TURNS = "even_turns"
    BATCH_DROPPED = "batch_dropped"
    CONTENT_NOT_TEXT = "content_not_text"
    SYSTEM_NOT_TEXT = "system_not_text"
    FUNCTION_CALL_INVALID = "function_call_invalid"
    CALL_MOVED = "call_moved"
    ARGUMENTS_AS_TEXT = "arguments_as_text"
    TOOLS_INVALID = "tools_invalid"
    # Answers to compare, and labels.
    ANSWERS_INVALID = "answers_invalid"
    ANSWER_ROLE_UNKNOWN = "answer_role_unknown"
    ANSWER_ROLE = "answer_role"
    ANSWERS_EQUAL = "answers_equal"
    ANSWER_EMPTY = "answer_empty"
    LABEL_INVALID = "label_invalid"
    DROPPED_IN_KTO = "dropped_in_kto"
    ONE_LABEL = "one_label"
    # Values that LLaMA-Factory does not read.
    SYSTEM_IGNORED = "system_ignored"
    COLUMN_IGNORED = "column_ignored"
    TURN_KEY_IGNORED = "turn_key_ignored"
    # Media.
    IMAGE_COUNT = "image_count"
    VIDEO_COUNT = "video_count"
    AUDIO_COUNT = "audio_count"
    IMAGE_TOKEN = "image_token"
    IMAGE_FIELD_INVALID = "image_field_invalid"
    IMAGE_STRUCT_INCOMPLETE = "image_struct_incomplete"
    IMAGE_PATH_NOT_JOINED = "image_path_not_joined"
    IMAGE_MISSING = "image_missing"
    IMAGE_UNDECODABLE = "image_undecodable"
    IMAGE_CRASHES_DECODER = "image_crashes_decoder"
    IMAGE_TOO_SLOW = "image_too_slow"
    IMAGE_TOO_THIN = "image_too_thin"
    IMAGE_HUGE = "image_huge"
    IMAGE_SEEN_DIFFERENTLY = "image_seen_differently"
    IMAGE_FEATURE = "image_feature"
    # Lengths.
    IMAGE_TOKENS_CUT = "image_tokens_cut"
    ROW_CUT = "row_cut"

    @property
    def about(self) -> KindText:
        """The severity and the sentences of ``kind.json``."""
        return _TEXTS[self]


class KindText(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a violation costs, what LLaMA-Factory does, and what the user can do about it."""

    severity: Severity
    happens: str
    cure: str


_TEXTS = msgspec.json.decode(
    resources.files(__package__ or "").joinpath("kind.json").read_bytes(), type=dict[Kind, KindText]
)


class Place(msgspec.Struct, frozen=True, array_like=True, order=True):
    """A location in an entry of a dataset: a row and its id, a whole file, or the entry itself.

    `file` is the index of the file among the entry's files, or -1 for the entry itself. `row` is
    the index of the row in its file, or -1 for the file itself.
    """

    file: int = -1
    row: int = -1
    id: str = ""


class Finding(msgspec.Struct, frozen=True):
    """A violation. Its place is the entry itself unless something else is known."""

    kind: Kind
    detail: str
    place: Place = Place()

    def at(self, place: Place) -> Finding:
        """The same violation with its location."""
        return msgspec.structs.replace(self, place=place)


class Count(msgspec.Struct, array_like=True):
    """The number of findings of a kind, and the first `FIRST` ones by location."""

    kind: Kind
    number: int
    first: list[Finding]


class Tally:
    """Counts findings. Its memory does not grow with their number."""

    def __init__(self, findings: Iterable[Finding] = ()) -> None:
        self._counts: dict[Kind, Count] = {}
        for finding in findings:
            self.add(finding)

    def add(self, finding: Finding, number: int = 1) -> None:
        self.merge([Count(finding.kind, number, [finding])])

    def merge(self, counts: Iterable[Count]) -> None:
        for count in counts:
            mine = self._counts.setdefault(count.kind, Count(count.kind, 0, []))
            mine.number += count.number
            firsts = [*mine.first, *count.first]
            mine.first = sorted(firsts, key=lambda found: (found.place, found.detail))[:FIRST]

    def counts(self) -> list[Count]:
        """The counts in the order of `Kind`."""
        return [self._counts[kind] for kind in Kind if kind in self._counts]


def printable(text: str) -> str:
    r"""A text that is safe to write and print: all other characters are escaped.

    >>> printable("Tür"), printable("a\tb\ud800")
    ('Tür', 'a\\tb\\ud800')
    """
    return text if text.isprintable() else repr(text)[1:-1]


def shown(value: object) -> str:
    """A short text that shows a value.

    >>> shown("abc"), shown(None), shown("x" * 200)[-3:]
    ("'abc'", 'null', 'xx…')
    """
    if value is None:
        return "null"
    try:
        text = repr(value[: MAX_SHOWN + 1] if isinstance(value, str | bytes) else value)
    except RecursionError:
        return "a deeply nested value"
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}…"
