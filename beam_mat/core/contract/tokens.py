"""How long a row is in tokens: exact for images, at least for text.

Text cannot be counted without the model's tokenizer. What is certain: Qwen's tokenizers cut text
into words and single digits before they look for tokens, so that no token reaches over the end of a
word. A row has at least as many tokens as words and digits, and five marks a turn.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Sequence

# Qwen's own marks (<|im_start|>, <tool_call>) are one token each, where their words would be two.
_PIECE = re.compile(r"<\|\w+\|>|</?\w+>|[^\W\d_]+|\d")
BEFORE = 3
"""``<|im_start|>``, the role and the line's end."""
AFTER = 2
"""``<|im_end|>`` and the line's end."""

IMAGE = "<image>"


def least_tokens(text: str) -> int:
    """Tokens that a text takes at least.

    >>> least_tokens("Is 12 a number?")
    5
    """
    # The tokenizers compose accents too before they cut.
    return len(_PIECE.findall(unicodedata.normalize("NFC", text)))


# Mostly one prompt stands in every row, and is longer than the turns.
_system_tokens = functools.lru_cache(maxsize=16)(least_tokens)


def measure(system: str, contents: Sequence[str]) -> tuple[int, tuple[tuple[int, ...], ...]]:
    """Least tokens of the system prompt, and of each turn before, between and after its images."""
    pieces = [tuple(map(least_tokens, content.split(IMAGE))) for content in contents]
    marks = BEFORE + AFTER if system else 0
    return marks + _system_tokens(system), tuple(pieces)


def length(
    system: int, pieces: Sequence[Sequence[int]], images: Sequence[int], cutoff: int
) -> tuple[int, int | None]:
    """Least tokens of a row, and the first of its images that ``cutoff_len`` certainly cuts.

    LLaMA-Factory fills ``cutoff_len`` with pairs of turns, and cuts a question at its end to leave
    room for the answer (``infer_seqlen``). So an image is lost for certain when the pairs before it
    and what stands before its end in its own turn exceed ``cutoff_len``; it may be lost earlier.

    Args:
        system: Least tokens of the system prompt, see `measure`.
        pieces: Least tokens of each turn before, between and after its images.
        images: Tokens of each image, its two marks included.
        cutoff: ``cutoff_len``.
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
        # A question ends with the marks that the answer begins with.
        spent = at + AFTER + (BEFORE if is_question else 0)
        if is_question:
            question = spent
        else:
            before += question + spent
    return before, cut
