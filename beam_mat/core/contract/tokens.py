"""The length of a row in tokens: exact for images, a lower bound for text.

Counting the tokens of text would need the model's tokenizer. But Qwen's tokenizers split text into
words and single digits first, so no token contains more than one of these. A row therefore has at
least one token per word and digit, and five special tokens per turn.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Sequence

from beam_mat.core.record import IMAGE

# Qwen's special tokens (<|im_start|>, <tool_call>) count as one, although they have two words.
_PIECE = re.compile(r"<\|\w+\|>|</?\w+>|[^\W\d_]+|\d")
BEFORE = 3
"""``<|im_start|>``, the role and the line end."""
AFTER = 2
"""``<|im_end|>`` and the line end."""


def least_tokens(text: str) -> int:
    """The minimum number of tokens of a text.

    >>> least_tokens("Is 12 a number?")
    5
    """
    # The tokenizers also normalise to NFC before they split the text.
    return len(_PIECE.findall(unicodedata.normalize("NFC", text)))


# Usually all rows have the same system prompt, and it is longer than the turns.
_system_tokens = functools.lru_cache(maxsize=16)(least_tokens)


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
    before it, together with its own turn up to its end, exceed ``cutoff_len``. Images that come
    shortly before may be cut too. `system` and `pieces` are from `measure`, and the tokens of
    `images` include start and end markers.
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
