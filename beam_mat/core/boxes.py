"""Boxes in pixels: finds them in text, and scales them.

When an image is resized, boxes in the text of its record no longer fit it. Whether four numbers are
such a box cannot be known in general, so `has_pixel_box` is strict about what it takes for one.
"""

import re
from collections.abc import Collection, Iterable, Iterator

from beam_mat.core.geometry import Size

Box = tuple[float, float, float, float]
"""Left, top, right and bottom, in pixels from the upper left corner."""

MIN_SIDE = 8
"""Pixels. Short lists of small or of similar numbers, such as scores and years, are no boxes."""
OVER = 0.02
"""Share of a side by which a box may go beyond the image: detectors are not exact."""

# Every quantifier has a limit, and what follows a number can be in no number. So an attempt to
# match takes limited time, and all of a text takes linear time.
_NUMBER = r"(-?\d{1,6}(?:\.\d{1,20})?)"
_GAP = r"\s{0,40}"
_COMMA = rf"{_GAP},{_GAP}"
_PAIR = _NUMBER + _COMMA + _NUMBER
_OPEN, _CLOSE = rf"[\[(]{_GAP}", rf"{_GAP},?{_GAP}[\])]"
_LIST = re.compile(rf"{_OPEN}{_PAIR}(?:{_COMMA}|{_CLOSE}{_COMMA}{_OPEN}){_PAIR}{_CLOSE}", re.ASCII)
_FIRST = frozenset("-0123456789 \t\r\n")
"""What follows the bracket of a list of numbers."""


def _keyed(*names: str) -> re.Pattern[str]:
    items = (rf"[\"'](?:{name})[\"']{_GAP}:{_GAP}{_NUMBER}" for name in names)
    return re.compile(_COMMA.join(items), re.ASCII)


_KEYED = (
    (("y2", "y_2"), _keyed("x_?1", "y_?1", "x_?2", "y_?2")),
    (("ymax", "y_max"), _keyed("x_?min", "y_?min", "x_?max", "y_?max")),
    (("bottom",), _keyed("left", "top", "right", "bottom")),
)
"""Objects with a key for each number. The words before are sought first, which is fast."""

# Qwen-VL and InternVL write boxes in thousandths of the image between these words.
_RELATIVE = re.compile(r"(?:<box>|<\|box_start\|>)[^<]{0,2000}")


def boxes(text: str) -> Iterator[Box]:
    """Yields everything that has the form of a box: four numbers, or two pairs.

    >>> list(boxes("[[35.16, 48.74, 153.54, 280.72]] and (1, 2), (30, 40)"))
    [(35.16, 48.74, 153.54, 280.72), (1.0, 2.0, 30.0, 40.0)]
    >>> list(boxes('{"xmin": 5, "ymin": 6, "xmax": 70, "ymax": 80}, [1, 2, 3, 4, 5]'))
    [(5.0, 6.0, 70.0, 80.0)]
    """
    text = _RELATIVE.sub("", text)
    for found in _matches(text):
        left, top, right, bottom = map(float, found.groups())
        yield left, top, right, bottom


def _matches(text: str) -> Iterator[re.Match[str]]:
    for bracket in "[(":
        at = text.find(bracket)
        while at >= 0:
            # Few brackets begin a list of numbers, and this test is cheaper than an attempt.
            found = _LIST.match(text, at) if text[at + 1 : at + 2] in _FIRST else None
            if found:
                yield found
            at = text.find(bracket, found.end() if found else at + 1)
    for words, pattern in _KEYED:
        if any(word in text for word in words):
            yield from pattern.finditer(text)


def has_pixel_box(texts: Iterable[str], sizes: Collection[Size]) -> bool:
    """Whether a text has what looks like a box in pixels in an image of one of these sizes.

    Fractions of the image, boxes in thousandths that are marked as such, and evenly spaced numbers
    such as the ticks of a chart do not count.

    >>> has_pixel_box(["bbox_2d: [10, 20, 110, 220]"], [(640, 480)])
    True
    >>> has_pixel_box(["[0.1, 0.2, 0.5, 0.9] [10, 20, 30, 40] [10, 20, 700, 900]"], [(640, 480)])
    False
    """
    return bool(sizes) and any(
        _fits(box, size) for text in texts for box in boxes(text) for size in sizes
    )


def _fits(box: Box, size: Size) -> bool:
    left, top, right, bottom = box
    over_x, over_y = size[0] * OVER, size[1] * OVER
    evenly = top - left == right - top == bottom - right
    return (
        -over_x <= left <= right - MIN_SIDE
        and -over_y <= top <= bottom - MIN_SIDE
        and right <= size[0] + over_x
        and bottom <= size[1] + over_y
        and not evenly
    )


def scale_box(box: tuple[float, ...], original: Size, written: Size) -> tuple[float, ...]:
    """A box or a point of an image of size `original`, in the image written with size `written`.

    `box` has pairs of x and y.

    Whole numbers stay whole, and the box stays within the written image if it was within the
    original one. Sizes must not be 0.

    >>> scale_box((10, 20, 1000, 500), (1000, 500), (500, 250))
    (5, 10, 500, 250)
    >>> scale_box((1.5, 2.0, 3.0, 4.0), (4, 4), (2, 8))
    (0.75, 4.0, 1.5, 8.0)
    """
    return tuple(
        _scaled(value, original[number % 2], written[number % 2])
        for number, value in enumerate(box)
    )


def _scaled(value: float, before: int, after: int) -> float:
    scaled = value * after / before
    return round(scaled) if isinstance(value, int) else scaled
