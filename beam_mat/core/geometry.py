"""Image sizes: LLaMA-Factory's resizing rules, and the number of tokens for an image size.

The rules come from LLaMA-Factory 0.9.5 (``BasePlugin._preprocess_image`` and
``Qwen2VLPlugin._preprocess_image``) and, for tokens, from transformers' ``smart_resize``. The tests
compare the results with a table that this code generated.
"""

import math

import msgspec

MIN_SIDE = 28
MAX_ASPECT = 200
CLAMPED_ASPECT = 180

Size = tuple[int, int]
"""Width and height in pixels."""


class Budget(msgspec.Struct, frozen=True):
    """The largest and the smallest allowed area of an image, in pixels (width times height)."""

    max_pixels: int = 262144
    min_pixels: int = 1024


def resize_steps(size: Size, budget: Budget) -> list[Size]:
    """The sizes to which an image is resized, one after the other; empty if it keeps its size.

    Only tiny and very long images need more than one step.

    >>> resize_steps((640, 480), Budget())
    [(591, 443)]
    >>> resize_steps((20000, 30), Budget())
    [(13219, 19), (13219, 28), (5040, 28)]
    """
    steps: list[Size] = []
    width, height = size

    def to(new_width: int, new_height: int) -> None:
        nonlocal width, height
        # A side of 0 would crash LLaMA-Factory, so a side keeps at least one pixel.
        width, height = max(1, new_width), max(1, new_height)
        steps.append((width, height))

    if width * height > budget.max_pixels:
        to(*_scaled(width, height, budget.max_pixels))
    if width * height < budget.min_pixels:
        to(*_scaled(width, height, budget.min_pixels))
    if min(width, height) < MIN_SIDE:
        to(max(width, MIN_SIDE), max(height, MIN_SIDE))
    if width / height > MAX_ASPECT:
        to(height * CLAMPED_ASPECT, height)
    if height / width > MAX_ASPECT:
        to(width, width * CLAMPED_ASPECT)
    return steps


def turned_as(written: Size, stored: Size) -> Size:
    """The size of a stored image once it is turned as the written one is.

    Resizing never exchanges the longer and the shorter side; only turning does.

    >>> turned_as((443, 591), (640, 480)), turned_as((591, 443), (640, 480))
    ((480, 640), (640, 480))
    """
    turned = (stored[0] - stored[1]) * (written[0] - written[1]) < 0
    return stored[::-1] if turned else stored


def vanishes(size: Size, budget: Budget) -> bool:
    """Whether LLaMA-Factory would scale a side down to 0, which Pillow refuses.

    >>> vanishes((1, 700_000), Budget(589824)), vanishes((640, 480), Budget())
    (True, False)
    """
    if size[0] * size[1] > budget.max_pixels:
        size = _scaled(*size, budget.max_pixels)
    if 0 < size[0] * size[1] < budget.min_pixels:
        size = _scaled(*size, budget.min_pixels)
    return 0 in size


def _scaled(width: int, height: int, area: int) -> Size:
    factor = math.sqrt(area / (width * height))
    return int(width * factor), int(height * factor)


class TokenRule(msgspec.Struct, frozen=True):
    """How a model family divides an image into tokens: squares with a side of `factor` pixels.

    `min_pixels` and `max_pixels` are the model's own limits on the area.
    """

    factor: int
    min_pixels: int
    max_pixels: int


QWEN2_VL = TokenRule(28, 3136, 12845056)
"""Qwen2-VL and Qwen2.5-VL."""
QWEN3_VL = TokenRule(32, 65536, 16777216)


def tokens(size: Size, rule: TokenRule) -> int:
    """The number of tokens of an image of `size`, including its start and end markers.

    >>> tokens((591, 443), QWEN2_VL)
    338
    """
    width, height = size
    factor = rule.factor
    across = round(width / factor) * factor
    down = round(height / factor) * factor
    if across * down > rule.max_pixels:
        beta = math.sqrt(width * height / rule.max_pixels)
        across = max(factor, math.floor(width / beta / factor) * factor)
        down = max(factor, math.floor(height / beta / factor) * factor)
    elif across * down < rule.min_pixels:
        beta = math.sqrt(rule.min_pixels / (width * height))
        across = math.ceil(width * beta / factor) * factor
        down = math.ceil(height * beta / factor) * factor
    return (across // factor) * (down // factor) + 2
