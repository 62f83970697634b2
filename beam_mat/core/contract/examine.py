"""Checks rows and image files one by one, as far as possible without the others."""

from __future__ import annotations

import functools
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence

import msgspec
from PIL import Image

from beam_mat.core.contract import tokens
from beam_mat.core.contract.entry import Entry
from beam_mat.core.contract.finding import Finding, Kind, Place, Tally, printable
from beam_mat.core.contract.row import NULLABLE, Row, check_row
from beam_mat.core.contract.shape import Shape
from beam_mat.core.contract.unit import ImageUse, LengthFact, RowLength, Runs, Unit, UnitNote
from beam_mat.core.geometry import Budget, Size, TokenRule, resize_steps, vanishes
from beam_mat.core.geometry import tokens as tokens_of
from beam_mat.core.image import decode_fault
from beam_mat.core.limits import MAX_IMAGE_BYTES, MAX_IMAGE_PIXELS

PILLOW_PIXELS = 2 * (1 << 30) // 4 // 3
"""Above this number of pixels, Pillow raises DecompressionBombError, also in LLaMA-Factory."""
LEAST_PIXELS = 1024
"""LLaMA-Factory's default of ``image_min_pixels``."""

Look = Callable[[Sequence[bytes]], list["Size | Finding"]]
"""Decodes images; `look` decodes one."""


class Rules(msgspec.Struct, frozen=True):
    """The training settings that a check needs.

    `max_pixels` is ``image_max_pixels``, `cutoff` is ``cutoff_len`` in tokens, and `tokens` is how
    the model divides images into tokens. Without the last two, lengths are not checked.
    """

    max_pixels: int
    cutoff: int | None = None
    tokens: TokenRule | None = None

    def tokens_of(self, found: Size | Finding) -> int:
        """The tokens of an image after LLaMA-Factory has resized it; -1 if it cannot be used."""
        if self.tokens is None:
            return 0
        if isinstance(found, Finding):
            return -1
        steps = resize_steps(found, Budget(self.max_pixels, LEAST_PIXELS))
        return tokens_of(steps[-1] if steps else found, self.tokens)


def decode(data: bytes) -> object:
    """Decodes a row. Like the readers that training uses, it is more lenient than the standard.

    Raises:
        ValueError: The row is not JSON or too deeply nested; UnicodeDecodeError: it is not UTF-8.
    """
    try:
        return msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        try:
            return json.loads(data.decode())  # NaN, unpaired surrogates
        except UnicodeDecodeError:
            raise
        except (ValueError, RecursionError):
            raise ValueError(str(error) or type(error).__name__) from None


def look(data: bytes, max_pixels: int) -> Size | Finding:
    """Decodes a whole image, as training would. Any bytes are allowed."""
    if len(data) > MAX_IMAGE_BYTES:
        return Finding(Kind.IMAGE_HUGE, f"the file has {len(data)} bytes")
    try:
        with Image.open(io.BytesIO(data), formats=_formats()) as image:
            found = f"the image has {image.width}x{image.height} pixels"
            if image.width * image.height > PILLOW_PIXELS:
                return Finding(Kind.IMAGE_UNDECODABLE, found)
            if vanishes(image.size, Budget(max_pixels, LEAST_PIXELS)):
                return Finding(Kind.IMAGE_TOO_THIN, found)
            if image.width * image.height > MAX_IMAGE_PIXELS:
                return Finding(Kind.IMAGE_HUGE, found)
            image.load()
            return image.size
    except MemoryError:
        raise
    # On hostile bytes, decoders raise almost anything.
    except Exception as error:  # noqa: BLE001
        return Finding(Kind.IMAGE_UNDECODABLE, decode_fault(error).detail)


@functools.cache
def _formats() -> tuple[str, ...]:
    # LLaMA-Factory allows every format that Pillow supports. These two start other programs.
    Image.init()
    return tuple(name for name in Image.OPEN if name not in ("EPS", "WMF"))


class Examiner:
    """Checks a unit's rows in order and collects the results.

    `clash` is the first row that has a value of another type than earlier rows.
    """

    def __init__(self, unit: Unit, entry: Entry, rules: Rules, look: Look) -> None:
        self.tally = Tally()
        self.shape = Shape(fields={})
        self.clash: Finding | None = None
        self.has_other_values = False
        self._always: set[str] | None = None
        self._unit = unit
        self._entry = entry
        self._rules = rules
        self._look = look
        self._uses: dict[str, tuple[int, Place]] = {}
        self._lengths: list[RowLength] = []
        self._marks: dict[str, list[bool]] = {name: [] for name in (*NULLABLE, "dropped")}
        self._image_uses = 0

    def rows(self, values: Sequence[tuple[int, object]]) -> None:
        """Checks rows, each given with its index in the file."""
        rows = [(index, check_row(value, self._entry)) for index, value in values]
        for index, value in values:
            if not isinstance(value, dict):
                self.has_other_values = True
                continue
            self._always = set(value) if self._always is None else self._always & value.keys()
            path = self.shape.absorb(value)
            if path is not None and self.clash is None:
                why = f"{path} has another type in earlier rows"
                self.clash = Finding(Kind.TYPE_DRIFT, why, Place(self._unit.file.order, index))
        images = (image for _, row in rows if not row.dropped for image in row.images)
        looks = iter(self._look([image for image in images if isinstance(image, bytes)]))
        for index, row in rows:
            self._row(index, row, looks)

    def unreadable(self) -> None:
        """Counts a row that cannot be read."""
        for marks in self._marks.values():
            marks.append(False)

    def note(self, *, with_shape: bool) -> UnitNote:
        """The result of the unit. `with_shape` says whether the rows determine the types."""
        dropped = self._marks["dropped"]
        return UnitNote(
            unit=self._unit,
            rows=len(dropped),
            counts=self.tally.counts(),
            shape=self.shape if with_shape else None,
            always=tuple(sorted(map(printable, self._always or ()))),
            empty={name: Runs.of(self._marks[name]) for name in NULLABLE},
            dropped=Runs.of(dropped),
            image_uses=self._image_uses,
        )

    def uses(self) -> list[ImageUse]:
        """The image files to which the rows refer."""
        entry, name = self._unit.file.entry, self._unit.name
        return [ImageUse(entry, path, name, *use) for path, use in self._uses.items()]

    def lengths(self) -> LengthFact:
        """The rows whose length depends on image files."""
        return LengthFact(self._unit.file.entry, tuple(self._lengths))

    def _row(self, index: int, row: Row, looks: Iterator[Size | Finding]) -> None:
        place = Place(self._unit.file.order, index, row.id)
        for name in NULLABLE:
            self._marks[name].append(name in row.empty)
        self._marks["dropped"].append(row.dropped)
        for fault in row.faults:
            self.tally.add(fault.at(place))
        self._image_uses += len(row.images)
        sizes: list[str | int] = []
        for image in row.images:
            if isinstance(image, str):
                sizes.append(image)
                continue
            found = next(looks)
            if isinstance(found, Finding):
                self.tally.add(found.at(place))
            sizes.append(self._rules.tokens_of(found))
        for path in dict.fromkeys(image for image in row.images if isinstance(image, str)):
            rows, first = self._uses.get(path, (0, place))
            self._uses[path] = (rows + 1, first)
        if self._rules.cutoff is None or row.faults or not row.contents:
            return
        length = RowLength(place, *tokens.measure(row.system, row.contents), tuple(sizes))
        if any(isinstance(size, str) for size in sizes):
            self._lengths.append(length)
        elif cut := check_length(length, {}, self._rules.cutoff):
            self.tally.add(cut)


def check_length(row: RowLength, sizes: Mapping[str, int], cutoff: int) -> Finding | None:
    """Checks a row's length against ``cutoff_len``, unless one of its images is unusable.

    `sizes` are the tokens of images by path; -1 for an image that cannot be used.
    """
    images = [sizes[image] if isinstance(image, str) else image for image in row.images]
    if -1 in images:
        return None
    least, cut = tokens.length(row.system, row.pieces, images, cutoff)
    text = least - sum(images)
    size = f"the row has {sum(images)} image tokens and at least {text} text tokens"
    why = f"{size}; cutoff_len is {cutoff}"
    if cut is not None:
        why = f"image {cut} of {len(images)} is cut: {why}"
        return Finding(Kind.IMAGE_TOKENS_CUT, why, row.place)
    return Finding(Kind.ROW_CUT, why, row.place) if least > cutoff else None
