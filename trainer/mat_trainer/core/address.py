"""``URI@42``: a dataset's folder and one of its generations."""

from __future__ import annotations

import re

import msgspec

from mat_trainer.core.errors import ConfigError

LATEST = "latest"

_NUMBER = re.compile(r"0*[1-9][0-9]{0,17}")


class Address(msgspec.Struct, frozen=True):
    """A dataset's address.

    Attributes:
        uri: The dataset's folder.
        word: The text after the ``@``; None if there is no ``@``.
    """

    uri: str
    word: str | None = None

    @property
    def generation(self) -> int | None:
        """The generation's number; None for the newest.

        Raises:
            ConfigError: The text after ``@`` is neither a number from 1 on nor ``latest``.
        """
        if self.word in (None, LATEST):
            return None
        assert self.word is not None
        if not _NUMBER.fullmatch(self.word):
            raise ConfigError(
                f"--dataset …@{self.word[:40]}: generations are numbered from 1; pass a number "
                f"such as @42, or @{LATEST}, or no @ for the newest",
            )
        return int(self.word)


def split(text: str) -> Address:
    """Splits an address. An ``@`` before the last name, as in credentials, is part of the URI.

    >>> split("gs://bucket/mat@42")
    Address(uri='gs://bucket/mat', word='42')
    >>> split("https://me:secret@host/mat").word
    >>> split("/data/mat/@latest/")
    Address(uri='/data/mat', word='latest')
    """
    head, at, word = text.rstrip("/").rpartition("@")
    head = head.rstrip("/") or head
    if not at or not head or head.endswith(":") or "/" in word:
        return Address(text)
    if in_authority(head) and not (word == LATEST or word.isdecimal()):
        return Address(text)  # user@host
    return Address(head, word)


def in_authority(uri: str) -> bool:
    """Whether a URI is a host or a bucket without a path.

    >>> in_authority("gs://bucket"), in_authority("gs://bucket/mat"), in_authority("/data")
    (True, False, False)
    """
    _, found, rest = uri.partition("://")
    return bool(found) and "/" not in rest


def at(uri: str, generation: int) -> str:
    """The address of one generation.

    >>> at("gs://bucket/mat/", 42)
    'gs://bucket/mat@42'
    """
    return f"{uri.rstrip('/') or uri}@{generation}"
