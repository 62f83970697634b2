"""Text out of records, made fit for a terminal: it says what is there and does nothing."""

from __future__ import annotations

import unicodedata

_LAYOUT = "\n\t"
_JOINERS = "\u200c\u200d"
"""Of scripts and emoji; they move nothing."""


def visible(text: str) -> str:
    r"""The text with everything that a terminal would act upon spelled out.

    Escape sequences, other control characters, marks that turn the direction of writing, and
    unpaired surrogates are written as Python spells them. Line ends and tabs stay.

    >>> visible("a\x1b[31mb\r\n\u202ec\ud800 Tür")
    'a\\x1b[31mb\\r\n\\u202ec\\ud800 Tür'
    """
    if text.isprintable():
        return text
    return "".join(letter if _is_plain(letter) else _spelled(letter) for letter in text)


def one_line(text: str) -> str:
    r"""As `visible`, with line ends and tabs spelled out too.

    >>> one_line("a\nb")
    'a\\nb'
    """
    return visible(text).replace("\n", "\\n").replace("\t", "\\t")


def _is_plain(letter: str) -> bool:
    return (
        letter.isprintable()
        or letter in _LAYOUT
        or letter in _JOINERS
        or unicodedata.category(letter) == "Zs"
    )


def _spelled(letter: str) -> str:
    return letter.encode("unicode_escape").decode()
