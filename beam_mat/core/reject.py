"""Why a record is not in the dataset: a closed list, each reason with its meaning and cure."""

from __future__ import annotations

from enum import Enum

import msgspec


class Reason(str, Enum):
    """Every reason for which a record can be rejected. The value is what the output files say."""

    sentence: str

    def __new__(cls, value: str, sentence: str = "") -> Reason:
        member = str.__new__(cls, value)
        member._value_ = value
        member.sentence = sentence
        return member

    MALFORMED_JSON = (
        "malformed_json",
        "The bytes are not valid JSON; write the record (or download the shard) again.",
    )
    NOT_AN_OBJECT = (
        "not_an_object",
        "The record is valid JSON but not an object; a record is {...} with id and conversations.",
    )
    RECORD_TOO_LARGE = (
        "record_too_large",
        "The record is larger than 8 MiB or uses over 256 images; no model can train on it, so "
        "shorten or split it.",
    )
    NO_ID = ("no_id", "The record has no id; give each record a text or whole number as id.")
    NO_TURNS = (
        "no_turns",
        "The record has no conversation; conversations must list user and assistant turns.",
    )
    UNKNOWN_ROLE = (
        "unknown_role",
        "A turn's role is not system, user or assistant; rename it to one of the three.",
    )
    ROLES_OUT_OF_ORDER = (
        "roles_out_of_order",
        "Turns do not alternate user, assistant after the system turn; LLaMA-Factory would drop "
        "the record, so mend its order.",
    )
    ODD_TURNS = (
        "odd_turns",
        "The last turn is not the assistant's; LLaMA-Factory would drop the record, so add the "
        "answer or cut the question.",
    )
    CONTENT_NOT_TEXT = (
        "content_not_text",
        "A turn's content is empty or not text; training would crash on it or learn nothing.",
    )
    IMAGE_FIELD_INVALID = (
        "image_field_invalid",
        "The image field is neither a path, nor an object of <image_NN> and paths, nor empty; "
        "write it as one of the three.",
    )
    PLACEHOLDER_WITHOUT_IMAGE = (
        "placeholder_without_image",
        "A user turn names an image that the image field does not hold; add the image or remove "
        "the placeholder.",
    )
    IMAGE_WITHOUT_PLACEHOLDER = (
        "image_without_placeholder",
        "The image field holds an image that no user turn names; add its placeholder or remove "
        "the image.",
    )
    UNSAFE_PATH = (
        "unsafe_path",
        "An image path is not a plain relative path; remove .., drive, leading / or odd "
        "characters, or map it with --rewrite.",
    )
    DUPLICATE_ID = (
        "duplicate_id",
        "An earlier record has the same id and --duplicates drop was asked for; to have both, ask "
        "for --duplicates keep.",
    )
    IMAGE_MISSING = (
        "image_missing",
        "No image source holds the image; add the zip or folder that has it, or map the path "
        "with --rewrite.",
    )
    IMAGE_UNDECODABLE = (
        "image_undecodable",
        "The image file cannot be decoded as a picture; replace the file.",
    )
    IMAGE_TRUNCATED = (
        "image_truncated",
        "The image file ends before the picture does; download or copy it again.",
    )
    IMAGE_TOO_LARGE = (
        "image_too_large",
        "The image is beyond the limits (64 MiB, 67 megapixels, 65,535 a side, packed more than "
        "200 to 1); scale it down.",
    )
    MEMBER_UNSUPPORTED = (
        "member_unsupported",
        "The zip member is encrypted, a link, or packed by an unsupported method; pack the zip "
        "anew with deflate.",
    )
    MEMBER_DAMAGED = (
        "member_damaged",
        "The zip member's bytes do not match the zip's directory (length or checksum); download "
        "or pack the zip again.",
    )


class Reject(msgspec.Struct, frozen=True):
    r"""One record that is not in the dataset: a line of ``rejects/*.jsonl``.

    Attributes:
        reason: A value of `Reason`.
        detail: What was found in this very record.
        source: URI of the JSON shard.
        index: Position of the record in its shard, from 0.
        start, end: Byte range of the record in its shard, end exclusive.
        id: The record's id where it could be read, else None.
        record: The original bytes as text; bytes that are not UTF-8 are written as ``\xNN``.
        record_truncated: Whether `record` holds just the first MAX_RAW_BYTES of the range.
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
