"""Placeholders: the words in a conversation that stand for an image."""

from __future__ import annotations

import re

IMAGE = "<image>"
"""The placeholder that LLaMA-Factory counts, in every turn, and pairs with the n-th image."""

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
    """Turns each placeholder of a user turn into the one that LLaMA-Factory counts.

    >>> unify("<image_00> is left of <image_01>")
    '<image> is left of <image>'
    """
    return _PLACEHOLDER.sub(IMAGE, text)


def respell(text: str, *, keep_image: bool = False) -> tuple[str, int]:
    """Respells words that LLaMA-Factory would count as media: ``<image>`` becomes ``< image>``.

    Args:
        text: An assistant or system text, or, with `keep_image`, a user turn, in which
            ``<image>`` is a placeholder and only ``<video>`` and ``<audio>`` are respelled.
        keep_image: Whether to leave ``<image>`` alone.

    Returns:
        The text, and how many words were respelled.

    >>> respell("The tag <image> stands for a picture, <image_00> for the first.")
    ('The tag < image> stands for a picture, <image_00> for the first.', 1)
    """
    count = 0

    def spelling(found: re.Match[str]) -> str:
        nonlocal count
        if keep_image and found[1] == "image":
            return found[0]
        count += 1
        return f"< {found[1]}>"

    return _COUNTED.sub(spelling, text), count
