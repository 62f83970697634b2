"""A trajectory: what every record becomes, whatever its schema, and why a record is rejected."""

import re
from enum import Enum

import msgspec

from beam_mat.core.reject import Reason

Prefixes = tuple[tuple[str, str], ...]

IMAGE = "<image>"
"""LLaMA-Factory's placeholder. It pairs the n-th one, counted over all turns, with image n."""

SYSTEM = "system"
USER = "user"
ASSISTANT = "assistant"
OBSERVATION = "observation"
CALL = "function_call"
QUESTIONS = (USER, OBSERVATION)
"""Roles of the turns with even numbers. Only these may have images."""
ANSWERS = (ASSISTANT, CALL)

INLINE = re.compile(r"inline/[0-9a-f]{64}\.[a-z]{3,4}")
"""Paths of images that a record has as a ``data:`` address, named by the SHA-256 of the file."""

IMAGE_TOKEN = "<|image_pad|>"
"""What LLaMA-Factory writes for images of Qwen's models. A training step counts these tokens."""

_MEDIA = re.compile(r"<(image|video|audio|\|image_pad\|)>")
_OTHER_MEDIA = re.compile(r"<(video|audio|\|image_pad\|)>")


class Schema(str, Enum):
    """The shapes of records that are read. The values are those of ``--schema``."""

    MAT = "mat"
    LLAVA = "llava"
    SHAREGPT = "sharegpt"
    RANKING = "ranking"
    QWEN_VL = "qwen-vl"
    MS_SWIFT = "ms-swift"
    OPENAI = "openai"
    AGUVIS = "aguvis"


class Reading(msgspec.Struct, frozen=True):
    """How the records of a shard are read.

    `rewrites` are path prefixes to replace, as pairs of old and new. `prefix` is put before each
    path after that.
    """

    schema: Schema = Schema.MAT
    rewrites: Prefixes = ()
    prefix: str = ""


class Turn(msgspec.Struct, frozen=True):
    """One message of a conversation, as LLaMA-Factory reads it."""

    role: str
    content: str


class Box(msgspec.Struct, frozen=True):
    """A box that replaces the next ``<bbox>`` of the turns.

    `numbers` are pairs of x and y, in pixels of the original of image `image`.
    """

    image: int
    numbers: tuple[float, ...]


class Trajectory(msgspec.Struct, frozen=True):
    """A valid record. Whether its images exist has not been checked yet.

    Turns of `QUESTIONS` and `ANSWERS` alternate. Their number is even, or odd if there are two
    answers to compare. The n-th path of `images` belongs to the n-th ``<image>`` of the questions.

    Attributes:
        id: None if the record has none.
        tools: JSON text of a list of tools, "" for none, or None if rows have no such column.
        chosen, rejected: The better and the worse answer to the last turn, or None.
        label: Whether the last answer is wanted (KTO), or None.
        boxes: Boxes whose numbers depend on the size of the converted images.
        respelled: Number of words, see `respell`.
        unknown: Keys of the record that were ignored because nobody knows their meaning.
        changes: What the schema's own loader changes, and therefore this package too.
    """

    id: str | None
    system: str
    turns: tuple[Turn, ...]
    images: tuple[str, ...]
    respelled: int = 0
    tools: str | None = None
    chosen: Turn | None = None
    rejected: Turn | None = None
    label: bool | None = None
    boxes: tuple[Box, ...] = ()
    unknown: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()

    @property
    def subset(self) -> str:
        """The name of the columns of its row, see `beam_mat.core.layout.SUBSETS`."""
        if self.tools is None and self.id is not None and not self.chosen and self.label is None:
            return ""  # almost always
        kind = "ranking" if self.chosen else "kto" if self.label is not None else ""
        tools = "tools" if self.tools is not None else ""
        noid = "noid" if self.id is None else ""
        return "_".join(filter(None, (kind, tools, noid)))

    @property
    def answers(self) -> tuple[Turn, ...]:
        """The answers to compare, if any, which come after the turns."""
        return (self.chosen, self.rejected) if self.chosen and self.rejected else ()


class Fault(msgspec.Struct, frozen=True):
    """The reason for rejecting a record, the details, and the record's id if it is readable."""

    reason: Reason
    detail: str
    id: str | None = None


class FaultyError(Exception):
    """Raised inside a schema; its arguments are a reason and details."""


def kind_of(value: object) -> str:
    """What a value of JSON is, in words."""
    names = {dict: "an object", list: "a list", str: "text", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number")


def shown(value: object) -> str:
    """A value for a message, shortened."""
    text = "null" if value is None else repr(value)
    return text if len(text) <= 200 else text[:200] + "…"


def respell(text: str) -> tuple[str, int]:
    """Respells words that count as media in a training: ``<image>`` becomes ``< image>``.

    Returns the text, and the number of respelled words.

    >>> respell("The tag <image> represents an image, <image_00> the first one.")
    ('The tag < image> represents an image, <image_00> the first one.', 1)
    >>> respell("The token <|image_pad|>.")
    ('The token < |image_pad|>.', 1)
    """
    return _MEDIA.subn(r"< \1>", text) if "<" in text else (text, 0)


def respell_others(text: str) -> tuple[str, int]:
    """As `respell`, but leaves ``<image>`` as it is, because it is a placeholder.

    >>> respell_others("<video> of <image>")
    ('< video> of <image>', 1)
    """
    return _OTHER_MEDIA.subn(r"< \1>", text) if "<" in text else (text, 0)


def respell_system(text: str) -> tuple[str, int]:
    """As `respell`. Records have one of a few long prompts, often of the same length.

    Looks a prompt up by every 64th character, because a hash of all takes longer than a comparison.
    """
    key = text[::64]
    known = _systems.get(key)
    if known is None or known[0] != text:
        known = text, respell(text)
        if len(_systems) == _SYSTEMS:
            _systems.clear()
        if len(text) <= _SYSTEM_CHARACTERS:
            _systems[key] = known
    return known[1]


_systems: dict[str, tuple[str, tuple[str, int]]] = {}
_SYSTEMS = 64
_SYSTEM_CHARACTERS = 1 << 17
