"""The rows of a unit: what can be said of them without the other rows and without image files."""

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
"""Decodes images, as `beam_mat.core.contract.picture.look` does one."""


class Rules(msgspec.Struct, frozen=True):
    """What training will be told.

    Attributes:
        max_pixels: ``image_max_pixels``.
        cutoff: ``cutoff_len``, or None where lengths are not checked.
        tokens: How the model cuts pictures; with `cutoff` alone.
    """

    max_pixels: int
    cutoff: int | None = None
    tokens: TokenRule | None = None

    def tokens_of(self, found: Size | Fault) -> int:
        """Tokens of an image after LLaMA-Factory's own resizing; -1 for one that cannot be used."""
        if self.tokens is None:
            return 0
        if isinstance(found, Fault):
            return -1
        steps = resize_steps(found, Budget(self.max_pixels, LEAST_PIXELS))
        return tokens_of(steps[-1] if steps else found, self.tokens)


def decode(data: bytes) -> object:
    """A row's value; more lenient than the JSON standard, as the readers are that follow.

    Raises:
        UnicodeDecodeError: It is not UTF-8.
        ValueError: It is not JSON, or is nested deeper than the stack reaches.
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
    """Takes a unit's rows in order.

    Attributes:
        tally: What is wrong with them.
        shape: Of their columns.
        clash: The first row with a value whose type does not go with earlier rows.
        has_other_values: Whether a row is no object.
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
        """Examines rows, each with its index in the file."""
        rows = [(index, check_row(value, self._entry)) for index, value in values]
        for index, value in values:
            if not isinstance(value, dict):
                self.has_other_values = True
                continue
            self._always = set(value) if self._always is None else self._always & value.keys()
            path = self.shape.absorb(value)
            if path is not None and self.clash is None:
                place, why = self._place(index, ""), f"{path} has another type in earlier rows"
                self.clash = Finding(Kind.TYPE_DRIFT, place, why)
        inside = [
            image
            for _, row in rows
            if not row.dropped
            for image in row.images
            if isinstance(image, bytes)
        ]
        looks = iter(self._look(inside))
        for index, row in rows:
            self._row(index, row, looks)

    def unreadable(self) -> None:
        """Notes a row of which nothing is known."""
        for marks in self._marks.values():
            marks.append(False)

    def note(self, *, with_shape: bool) -> UnitNote:
        """What was found. `with_shape`: whether the columns' types come from the rows."""
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
        """The image files that rows name."""
        unit = self._unit
        return [
            ImageUse(unit.file.entry, path, unit.name, rows, place)
            for path, (rows, place) in self._uses.items()
        ]

    def lengths(self) -> LengthFact:
        """The rows whose length depends on image files."""
        return LengthFact(self._unit.file.entry, tuple(self._lengths))

    def _place(self, index: int, id: str) -> Place:
        return Place(self._unit.file.order, index, id)

    def _row(self, index: int, row: Row, looks: Iterator[Size | Fault]) -> None:
        place = self._place(index, row.id)
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
        if self._rules.cutoff is not None and row.contents and not row.faults:
            self._length(RowLength(place, *tokens.measure(row.system, row.contents), tuple(sizes)))

    def _length(self, row: RowLength) -> None:
        if any(isinstance(image, str) for image in row.images):
            self._lengths.append(row)
            return
        assert self._rules.cutoff is not None
        found = check_length(row, {}, self._rules.cutoff)
        if found:
            self.tally.add(found)


def check_length(row: RowLength, sizes: Mapping[str, int], cutoff: int) -> Finding | None:
    """Holds a row against ``cutoff_len``; a row with an unusable image is not judged.

    Args:
        row: The row.
        sizes: Tokens of images by path; -1 for one that cannot be used.
        cutoff: ``cutoff_len``.
    """
    images = [sizes[image] if isinstance(image, str) else image for image in row.images]
    if -1 in images:
        return None
    least, cut = tokens.length(row.system, row.pieces, images, cutoff)
    words = f"{sum(images)} tokens of images, {least - sum(images)} or more of text"
    if cut is not None:
        why = f"image {cut} of {len(images)} is cut: {words}, cutoff_len {cutoff}"
        return Finding(Kind.IMAGE_TOKENS_CUT, row.place, why)
    if least > cutoff:
        return Finding(Kind.ROW_CUT, row.place, f"{words}, cutoff_len {cutoff}")
    return None
