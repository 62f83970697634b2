"""Checks rows and image files one by one, as far as possible without the others.

The length of a row in tokens is exact for images and a lower bound for text. Counting the tokens of
text would need the model's tokenizer. But Qwen's tokenizers split text into words and single digits
first, so no token contains more than one of these. A row therefore has at least one token per word
and digit, and five special tokens per turn.
"""

import functools
import io
import json
import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence

import msgspec
from PIL import Image

from beam_mat.core.contract.entry import Entry
from beam_mat.core.contract.finding import Finding, Kind, Place, Tally, printable
from beam_mat.core.contract.row import NULLABLE, Row, check_row
from beam_mat.core.contract.shape import Shape
from beam_mat.core.contract.unit import ImageUse, RowLength, Runs, Unit, UnitNote
from beam_mat.core.geometry import Budget, Size, TokenRule, resize_steps, tokens, vanishes
from beam_mat.core.header import HeaderFault, read_header
from beam_mat.core.image import FORMATS, Note, decode_fault, notes_of
from beam_mat.core.limits import MAX_CHECKED_NESTING, MAX_IMAGE_BYTES, MAX_IMAGE_PIXELS
from beam_mat.core.nesting import require_shallow, require_shallow_text
from beam_mat.core.reject import Reason
from beam_mat.core.trajectory import IMAGE

PILLOW_PIXELS = 2 * (1 << 30) // 4 // 3
"""Above this number of pixels, Pillow raises DecompressionBombError, also in LLaMA-Factory."""
LEAST_PIXELS = 1024
"""LLaMA-Factory's default of ``image_min_pixels``."""

_DECODED = (*FORMATS, *"MPO DIB PPM PCX TGA ICO QOI JPEG2000 AVIF".split())
"""Formats that are decoded. LLaMA-Factory allows every format of Pillow. Some of these start other
programs (EPS, WMF), and most others were never meant for files of strangers: an ICNS of some bytes
takes all memory."""

# Qwen's special tokens (<|im_start|>, <tool_call>) count as one, although they have two words.
_PIECE = re.compile(r"<\|\w+\|>|</?\w+>|[^\W\d_]+|\d")
BEFORE = 3
"""``<|im_start|>``, the role and the line end."""
AFTER = 2
"""``<|im_end|>`` and the line end."""

Looked = tuple[Size, tuple[Note, ...]] | Finding
"""The size of an image and what a model does not see in it, or why it cannot be used."""

Look = Callable[[Sequence[bytes]], list[Looked]]
"""Decodes images; `look` decodes one."""


class Rules(msgspec.Struct, frozen=True):
    """The training settings that a check needs.

    `max_pixels` is ``image_max_pixels``, `cutoff` is ``cutoff_len`` in tokens, and `tokens` is how
    the model divides images into tokens. Without the last two, lengths are not checked.
    """

    max_pixels: int
    cutoff: int | None = None
    tokens: TokenRule | None = None

    def tokens_of(self, found: Looked) -> int:
        """The tokens of an image after LLaMA-Factory has resized it; -1 if it cannot be used."""
        if self.tokens is None:
            return 0
        if isinstance(found, Finding):
            return -1
        size, _ = found
        steps = resize_steps(size, Budget(self.max_pixels, LEAST_PIXELS))
        return tokens(steps[-1] if steps else size, self.tokens)


def decode(data: bytes) -> object:
    """Decodes a row. Like the readers that training uses, it is more lenient than the standard.

    Raises ValueError if the row is not JSON, TooDeepError if it is nested too deep, and
    UnicodeDecodeError if it is not UTF-8.
    """
    try:
        value = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        require_shallow_text(data, MAX_CHECKED_NESTING)
        try:
            value = json.loads(data.decode())  # NaN, unpaired surrogates
        except UnicodeDecodeError:
            raise
        except (ValueError, RecursionError):
            raise ValueError(str(error) or type(error).__name__) from None
    require_shallow(value, MAX_CHECKED_NESTING)
    return value


def look(max_pixels: int, data: bytes) -> Looked:
    """Decodes a whole image, as training would. Any bytes are allowed."""
    if len(data) > MAX_IMAGE_BYTES:
        return Finding(Kind.IMAGE_HUGE, f"the file has {len(data)} bytes")
    try:
        header = read_header(data)
        if header and header.size and (fault := _size_fault(header.size, max_pixels)):
            return fault
        if header and header.excess:
            return Finding(Kind.IMAGE_HUGE, f"the file has {header.excess}")
        shown = header.data if header else data
        with Image.open(io.BytesIO(shown), formats=_formats()) as image:
            if fault := _size_fault(image.size, max_pixels):
                return fault
            image.load()
            if image.mode != "RGB":
                image.convert("RGB")  # as training does it; it may fail
            return image.size, notes_of(image)
    except HeaderFault as fault:
        kinds = {Reason.IMAGE_TOO_LARGE: Kind.IMAGE_HUGE}
        return Finding(kinds.get(fault.reason, Kind.IMAGE_UNDECODABLE), fault.detail)
    except MemoryError:
        raise
    # On hostile bytes, decoders raise almost anything.
    except Exception as error:  # noqa: BLE001
        return Finding(Kind.IMAGE_UNDECODABLE, decode_fault(error, data).detail)


@functools.cache
def _formats() -> tuple[str, ...]:
    Image.init()  # loads the decoders, as far as this Pillow has them
    return tuple(name for name in _DECODED if name in Image.OPEN)


def findings_of(found: Looked) -> list[Finding]:
    """The violations that a look at an image has shown."""
    if isinstance(found, Finding):
        return [found]
    return [Finding(Kind.IMAGE_SEEN_DIFFERENTLY, note.sentence) for note in found[1]]


def _size_fault(size: Size, max_pixels: int) -> Finding | None:
    pixels = size[0] * size[1]
    found = f"the image has {size[0]}x{size[1]} pixels"
    if pixels > PILLOW_PIXELS:
        return Finding(Kind.IMAGE_UNDECODABLE, found)
    if 0 not in size and vanishes(size, Budget(max_pixels, LEAST_PIXELS)):
        return Finding(Kind.IMAGE_TOO_THIN, found)
    return Finding(Kind.IMAGE_HUGE, found) if pixels > MAX_IMAGE_PIXELS else None


class Examiner:
    """Checks a unit's rows in order and collects the results.

    `clash` is the first row that has a value of another type than earlier rows, and `lengths` are
    of the rows whose length depends on image files.
    """

    def __init__(self, unit: Unit, entry: Entry, rules: Rules, look: Look) -> None:
        self.tally = Tally()
        self.shape = Shape(fields={})
        self.clash: Finding | None = None
        self.has_other_values = False
        self.lengths: list[RowLength] = []
        self.unit = unit
        self.entry = entry
        self._always: set[str] | None = None
        self._rules = rules
        self._look = look
        self._uses: dict[str, tuple[int, Place]] = {}
        self._marks: dict[str, list[bool]] = {name: [] for name in (*NULLABLE, "dropped")}
        self._image_uses = 0
        self._labels: set[bool] = set()

    def rows(self, values: Sequence[tuple[int, object]]) -> None:
        """Checks rows, each given with its index in the file."""
        rows = [(index, check_row(value, self.entry)) for index, value in values]
        for index, value in values:
            if not isinstance(value, dict):
                self.has_other_values = True
                continue
            self._always = set(value) if self._always is None else self._always & value.keys()
            path = self.shape.absorb(value)
            if path is not None and self.clash is None:
                why = f"{path} has another type in earlier rows"
                self.clash = Finding(Kind.TYPE_DRIFT, why, Place(self.unit.file.order, index))
        images = (image for _, row in rows if not row.dropped for image in row.images)
        looks = iter(self._look([image for image in images if isinstance(image, bytes)]))
        for index, row in rows:
            self._row(index, row, looks)

    def unreadable(self) -> None:
        """Counts a row that cannot be read."""
        for marks in self._marks.values():
            marks.append(False)

    def note(self) -> UnitNote:
        """The result of the unit."""
        dropped = self._marks["dropped"]
        return UnitNote(
            unit=self.unit,
            rows=len(dropped),
            counts=self.tally.counts(),
            shape=self.shape if self.unit.chunk else None,
            always=tuple(sorted(map(printable, self._always or ()))),
            empty={name: Runs.of(self._marks[name]) for name in NULLABLE},
            dropped=Runs.of(dropped),
            image_uses=self._image_uses,
            labels=tuple(sorted(self._labels)),
        )

    def uses(self) -> list[ImageUse]:
        """The image files to which the rows refer."""
        entry, name = self.unit.file.entry, self.unit.name
        return [ImageUse(entry, path, name, *use) for path, use in self._uses.items()]

    def _row(self, index: int, row: Row, looks: Iterator[Looked]) -> None:
        place = Place(self.unit.file.order, index, row.id)
        for name in NULLABLE:
            self._marks[name].append(name in row.empty)
        self._marks["dropped"].append(row.dropped)
        for fault in row.faults:
            self.tally.add(fault.at(place))
        self._image_uses += len(row.images)
        if row.label is not None:
            self._labels.add(row.label)
        sizes: list[str | int] = []
        for image in row.images:
            if isinstance(image, str):
                sizes.append(image)
                continue
            found = next(looks)
            for fault in findings_of(found):
                self.tally.add(fault.at(place))
            sizes.append(self._rules.tokens_of(found))
        for path in dict.fromkeys(image for image in row.images if isinstance(image, str)):
            rows, first = self._uses.get(path, (0, place))
            self._uses[path] = (rows + 1, first)
        if self._rules.cutoff is None or row.fails or not row.contents:
            return
        parts = RowLength(place, *measure(row.system, row.contents), tuple(sizes))
        if any(isinstance(size, str) for size in sizes):
            self.lengths.append(parts)
        elif cut := check_length(parts, {}, self._rules.cutoff):
            self.tally.add(cut)


def least_tokens(text: str) -> int:
    """The minimum number of tokens of a text.

    >>> least_tokens("Is 12 a number?")
    5
    """
    # The tokenizers also normalise to NFC before they split the text.
    return len(_PIECE.findall(unicodedata.normalize("NFC", text)))


# Usually all rows have the same system prompt, and it is longer than the turns.
_known_tokens = functools.lru_cache(maxsize=16)(least_tokens)


def _system_tokens(system: str) -> int:
    return (_known_tokens if len(system) <= _CACHED else least_tokens)(system)


_CACHED = 1 << 17
"""Characters of a prompt that is remembered."""


def measure(system: str, contents: Sequence[str]) -> tuple[int, tuple[tuple[int, ...], ...]]:
    """The minimum tokens of a row's text: of the system prompt, and of each turn.

    A turn has a number for the text before, between and after its images.
    """
    pieces = [tuple(map(least_tokens, content.split(IMAGE))) for content in contents]
    marks = BEFORE + AFTER if system else 0
    return marks + _system_tokens(system), tuple(pieces)


def length(
    system: int, pieces: Sequence[Sequence[int]], images: Sequence[int], cutoff: int
) -> tuple[int, int | None]:
    """The minimum tokens of a row, and the index of the first image that is certain to be cut.

    LLaMA-Factory fills ``cutoff_len`` with pairs of turns, and cuts a question at its end to leave
    room for the answer (``infer_seqlen``). An image is therefore certain to be cut if the pairs
    before it and its own turn up to its end exceed ``cutoff_len``. Images shortly before may be cut
    too. `system` and `pieces` are from `measure`; `images` are tokens with start and end markers.
    """
    before = question = number = 0
    cut = None
    for place, turn in enumerate(pieces):
        is_question = place % 2 == 0
        at = (BEFORE if is_question else 0) + (system if place == 0 else 0) + turn[0]
        for text in turn[1:]:
            at += images[number]
            if cut is None and before + at - 1 > cutoff:
                cut = number
            at += text
            number += 1
        # The special tokens at the start of the answer count as part of the question.
        spent = at + AFTER + (BEFORE if is_question else 0)
        if is_question:
            question = spent
        else:
            before += question + spent
    return before, cut


def check_length(row: RowLength, sizes: Mapping[str, int], cutoff: int) -> Finding | None:
    """Checks a row's length against ``cutoff_len``, unless one of its images is unusable.

    `sizes` are the tokens of images by path; -1 for an image that cannot be used.
    """
    images = [sizes[image] if isinstance(image, str) else image for image in row.images]
    if -1 in images:
        return None
    least, cut = length(row.system, row.pieces, images, cutoff)
    text = least - sum(images)
    size = f"the row has {sum(images)} image tokens and at least {text} text tokens"
    why = f"{size}; cutoff_len is {cutoff}"
    if cut is not None:
        why = f"image {cut} of {len(images)} is cut: {why}"
        return Finding(Kind.IMAGE_TOKENS_CUT, why, row.place)
    return Finding(Kind.ROW_CUT, why, row.place) if least > cutoff else None
