"""Text for people: text from records that is safe to print, and durations."""

import re
import unicodedata

_PLAIN = "\n\t\u200c\u200d"
"""Line ends, tabs, and the joiners of some scripts and emoji, which do not move the cursor."""

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d|)", re.ASCII)
_SECONDS = {"ms": 0.001, "": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


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


def seconds(text: str) -> float:
    """Parses a duration: a number and one of ms, s, m, h and d (ValueError for anything else).

    The result is rounded to milliseconds, which is the resolution of Beam runners.

    >>> seconds("10s"), seconds("1.5m"), seconds("250ms"), seconds("3"), seconds("0.12345s")
    (10.0, 90.0, 0.25, 3.0, 0.123)
    """
    found = _DURATION.fullmatch(text.strip())
    if not found:
        raise ValueError("not a duration; give a number and a unit, such as 500ms, 10s, 5m or 2h")
    return round(float(found[1]) * _SECONDS[found[2]], 3)


def spoken(value: float) -> str:
    """Formats seconds for people.

    >>> spoken(0.4), spoken(75), spoken(7265)
    ('0 s', '1 min 15 s', '2 h 1 min')
    """
    minutes, rest = divmod(round(value), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
