"""Placeholders: the words in a conversation that represent an image."""

from __future__ import annotations

import re

IMAGE = "<image>"
"""LLaMA-Factory's placeholder. It pairs the n-th one, counted over all turns, with image n."""

_PLACEHOLDER = re.compile(r"<image(?:_([0-9]{1,9}))?>")
_COUNTED = re.compile(r"<(image|video|audio)>")


def placeholder_number(token: str) -> int | None:
    """The number in ``<image_07>``, or None for the plain ``<image>``.

    Raises:
        ValueError: `token` is not a placeholder.
    """
    found = _PLACEHOLDER.fullmatch(token)
    if not found:
        raise ValueError(f"{token!r} is not <image> or <image_NN>")
    return None if found[1] is None else int(found[1])


def placeholders(text: str) -> list[str]:
    """The placeholders of a user turn in the order in which they occur.

    >>> placeholders("<image_01> and <image_00>, then <image_01> again")
    ['<image_01>', '<image_00>', '<image_01>']
    """
    return [found[0] for found in _PLACEHOLDER.finditer(text)]


def unify(text: str) -> str:
    """Replaces each placeholder of a user turn with LLaMA-Factory's placeholder.

    >>> unify("<image_00> is left of <image_01>")
    '<image> is left of <image>'
    """
    return _PLACEHOLDER.sub(IMAGE, text)


def respell(text: str, *, keep_image: bool = False) -> tuple[str, int]:
    """Respells words that LLaMA-Factory would count as media: ``<image>`` becomes ``< image>``.

    With `keep_image`, ``<image>`` stays, because it is a placeholder in user turns. Returns the
    text, and the number of respelled words.

    >>> respell("The tag <image> represents an image, <image_00> the first one.")
    ('The tag < image> represents an image, <image_00> the first one.', 1)
    """
    count = 0

    def spelling(found: re.Match[str]) -> str:
        nonlocal count
        if keep_image and found[1] == "image":
            return found[0]
        count += 1
        return f"< {found[1]}>"

    return _COUNTED.sub(spelling, text), count
