"""Checks the rows of a unit, as far as possible without other rows and without image files."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence

import msgspec

from beam_mat.core.contract import tokens
from beam_mat.core.contract.entry import Entry
from beam_mat.core.contract.finding import Finding, Place, Tally, printable
from beam_mat.core.contract.kind import Kind
from beam_mat.core.contract.picture import LEAST_PIXELS
from beam_mat.core.contract.row import NULLABLE, Fault, Row, check_row
from beam_mat.core.contract.runs import Runs
from beam_mat.core.contract.shape import Shape
from beam_mat.core.contract.unit import ImageUse, LengthFact, RowLength, Unit, UnitNote
from beam_mat.core.geometry import Budget, Size, TokenRule, resize_steps
from beam_mat.core.geometry import tokens as tokens_of

Look = Callable[[Sequence[bytes]], list["Size | Fault"]]
"""Decodes images. `beam_mat.core.contract.picture.look` does the same for a single image."""


class Rules(msgspec.Struct, frozen=True):
    """The training settings that a check needs.

    `max_pixels` is ``image_max_pixels``, `cutoff` is ``cutoff_len`` in tokens, and `tokens` is how
    the model divides images into tokens. Without the last two, lengths are not checked.
    """

    max_pixels: int
    cutoff: int | None = None
    tokens: TokenRule | None = None

    def tokens_of(self, found: Size | Fault) -> int:
        """The tokens of an image after LLaMA-Factory has resized it; -1 if it cannot be used."""
        if self.tokens is None:
            return 0
        if isinstance(found, Fault):
            return -1
        steps = resize_steps(found, Budget(self.max_pixels, LEAST_PIXELS))
        return tokens_of(steps[-1] if steps else found, self.tokens)


def decode(data: bytes) -> object:
    """Decodes a row. Like the readers that training uses, it is more lenient than the standard.

    Raises:
        UnicodeDecodeError: The row is not UTF-8.
        ValueError: The row is not JSON, or it is nested too deep.
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
                place, why = Place(self._unit.file.order, index), "has another type in earlier rows"
                self.clash = Finding(Kind.TYPE_DRIFT, place, f"{path} {why}")
        images = (image for _, row in rows if not row.dropped for image in row.images)
        looks = iter(self._look([image for image in images if isinstance(image, bytes)]))
        for index, row in rows:
            self._row(index, row, looks)

    def unreadable(self) -> None:
        """Counts a row that cannot be read."""
        for marks in self._marks.values():
            marks.append(False)

    def note(self, *, with_shape: bool) -> UnitNote:
        """The results of the unit. `with_shape` says whether the rows determine the types."""
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
        unit = self._unit
        return [
            ImageUse(unit.file.entry, path, unit.name, rows, place)
            for path, (rows, place) in self._uses.items()
        ]

    def lengths(self) -> LengthFact:
        """The rows whose length depends on image files."""
        return LengthFact(self._unit.file.entry, tuple(self._lengths))

    def _row(self, index: int, row: Row, looks: Iterator[Size | Fault]) -> None:
        place = Place(self._unit.file.order, index, row.id)
        for name in NULLABLE:
            self._marks[name].append(name in row.empty)
        self._marks["dropped"].append(row.dropped)
        for kind, detail in row.faults:
            self.tally.add(Finding(kind, place, detail))
        self._image_uses += len(row.images)
        sizes: list[str | int] = []
        for image in row.images:
            if isinstance(image, str):
                sizes.append(image)
                continue
            found = next(looks)
            if isinstance(found, Fault):
                self.tally.add(Finding(found.kind, place, found.detail))
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
    limit = f"cutoff_len is {cutoff}"
    if cut is not None:
        why = f"image {cut} of {len(images)} is cut: {size}; {limit}"
        return Finding(Kind.IMAGE_TOKENS_CUT, row.place, why)
    if least > cutoff:
        return Finding(Kind.ROW_CUT, row.place, f"{size}; {limit}")
    return None
