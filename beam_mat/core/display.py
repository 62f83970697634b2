"""Makes text from records safe to print: a terminal shows it and does not act on it."""

from __future__ import annotations

import unicodedata

_PLAIN = "\n\t\u200c\u200d"
"""Line ends, tabs, and the joiners of some scripts and emoji, which do not move the cursor."""


def visible(text: str) -> str:
    r"""Escapes every character in a text that a terminal would act on, except line ends and tabs.

    These are control characters, changes of the writing direction, and unpaired surrogates.

    >>> visible("a\x1b[31mb\r\n\u202ec\ud800 Tür")
    'a\\x1b[31mb\\r\n\\u202ec\\ud800 Tür'
    """
    if text.isprintable():
        return text
    return "".join(one if _is_plain(one) else one.encode("unicode_escape").decode() for one in text)


def one_line(text: str) -> str:
    r"""Like `visible`, but escapes line ends and tabs too.

    >>> one_line("a\nb")
    'a\\nb'
    """
    return visible(text).replace("\n", "\\n").replace("\t", "\\t")


def _is_plain(letter: str) -> bool:
    return letter.isprintable() or letter in _PLAIN or unicodedata.category(letter) == "Zs"
