"""Checks of typed values. Each returns the value, or raises a ValueError that says what to give."""

import ipaddress
import re
from collections.abc import Callable, Sequence
from typing import TypeVar

from beam_mat.core.display import seconds
from beam_mat.core.member_name import codec_name
from beam_mat.core.settings import JSONL, PARQUET

T = TypeVar("T")


def _check(read: Callable[[str], T], holds: Callable[[T], object], cure: str) -> Callable[[str], T]:
    def check(text: str) -> T:
        try:
            value = read(text)
        except ValueError:
            raise ValueError(cure) from None
        if not holds(value):
            raise ValueError(cure)
        return value

    return check


integer = _check(int, lambda _: True, "give a whole number")
fraction = _check(float, lambda share: 0 <= share <= 1, "give a number from 0 to 1")
name = _check(
    str,
    re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}").fullmatch,
    "give letters, digits, '_', '-' and '.', such as mat",
)
subscription = _check(
    str,
    re.compile(r"projects/[^/]+/subscriptions/[^/]+").fullmatch,
    "give projects/PROJECT/subscriptions/NAME",
)


def whole_number(least: int) -> Callable[[str], int]:
    """A check for whole numbers of at least `least`."""
    return _check(int, lambda number: number >= least, f"give a whole number of at least {least}")


def one_of(*known: str) -> Callable[[str], str]:
    """A check for one of a few words."""
    return _check(str, lambda word: word in known, f"give {' or '.join(known)}")


def encoding(text: str) -> str:
    """A text encoding, as Python calls it.

    >>> encoding("CP936")
    'gbk'
    """
    try:
        return codec_name(text)
    except ValueError as error:
        raise ValueError("give a text encoding of Python, such as gbk or shift_jis") from error


def generations(text: str) -> int:
    """A number of generations, or "all", which is 0 here.

    >>> generations("3"), generations("all")
    (3, 0)
    """
    try:
        return 0 if text == "all" else whole_number(1)(text)
    except ValueError as error:
        raise ValueError(f"{error}, or all") from None


def generation(text: str) -> tuple[str, int]:
    """The URI of a dataset and one of its generations.

    >>> generation("gs://b/mat@42")
    ('gs://b/mat', 42)
    """
    uri, _, number = text.rpartition("@")
    if not uri or not number.isdecimal():
        raise ValueError("has no generation number; write DATASET@N, such as dataset@1")
    return uri, int(number)


def dataset(text: str) -> tuple[str, int | None]:
    """The URI of a dataset, and one of its generations if the text names one.

    >>> dataset("gs://b/mat@42"), dataset("mat")
    (('gs://b/mat', 42), ('mat', None))
    """
    try:
        return generation(text)
    except ValueError:
        return text, None


def formats(text: str) -> tuple[str, ...]:
    """A list of output formats.

    >>> formats("parquet, jsonl")
    ('jsonl', 'parquet')
    """
    names = {name.strip() for name in text.split(",") if name.strip()}
    if not names or not names <= {JSONL, PARQUET}:
        raise ValueError("give jsonl, parquet or both, such as jsonl,parquet")
    return tuple(sorted(names))


def prefix(text: str) -> tuple[str, str]:
    """A path prefix and what replaces it, of which one may be empty: OLD=NEW.

    If both are the same, paths with this prefix stay as they are. Both may have one ``*``, see
    `core.layout.rewrite`.
    """
    old, sign, new = text.partition("=")
    if not sign or text == "=":
        raise ValueError("give OLD=NEW, such as data/=tongagent/")
    if old.count("*") != new.count("*") or old.count("*") > 1:
        raise ValueError("give one * on each side, such as ocr/*.jpg=ocr/*.png, or none")
    return old, new


def pair(known: Sequence[str]) -> Callable[[str], tuple[str, str]]:
    """A check for NAME=WORD with one of a few names."""

    def check(text: str) -> tuple[str, str]:
        name, _, word = text.partition("=")
        if not word or name not in known:
            raise ValueError(f"give NAME=WORD, where NAME is one of {', '.join(known)}")
        return name, word

    return check


def duration(least: float) -> Callable[[str], float]:
    """A check for durations of at least `least` seconds; returns seconds."""

    def check(text: str) -> float:
        found = seconds(text)
        if found < least:
            raise ValueError(f"give at least {least} s")
        return found

    return check


def address(text: str) -> tuple[str, int]:
    """An IP address and a port; without an address, this machine's own.

    >>> address("9464"), address("[::1]:80")
    (('127.0.0.1', 9464), ('::1', 80))
    """
    host, _, port = text.rpartition(":")
    host = host.strip("[]") or "127.0.0.1"
    try:
        ipaddress.ip_address(host)
        if 0 < int(port) < 1 << 16:
            return host, int(port)
    except ValueError:
        pass
    raise ValueError(
        "give a port from 1 to 65535; write an IP address before it to listen on another network "
        "interface, such as 0.0.0.0:9464"
    )
