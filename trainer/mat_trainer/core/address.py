"""``URI@42``: a dataset's folder, and which of its generations is meant."""

from __future__ import annotations

import re

import msgspec

from mat_trainer.core.errors import ConfigError

LATEST = "latest"

_NUMBER = re.compile(r"0*[1-9][0-9]{0,17}")


class Address(msgspec.Struct, frozen=True):
    """A dataset as it is asked for.

    Attributes:
        uri: Of its folder.
        word: What stands behind the ``@``; None where there is none.
    """

    uri: str
    word: str | None = None

    @property
    def generation(self) -> int | None:
        """The number that is asked for; None for the newest.

        Raises:
            ConfigError: What stands behind the ``@`` is no number from 1 on, nor ``latest``.
        """
        if self.word in (None, LATEST):
            return None
        assert self.word is not None
        if not _NUMBER.fullmatch(self.word):
            raise ConfigError(
                [
                    f"--dataset …@{self.word[:40]}: behind the @ stands a generation, and they "
                    f"are numbered from 1; say @42 or @{LATEST}, or nothing for the newest"
                ]
            )
        return int(self.word)


def split(text: str) -> Address:
    """Reads an address. An ``@`` before the last name, as in credentials, is part of the URI.

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
    """Whether a URI names a host or a bucket and nothing below it.

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
