"""Names of the pieces of a file that was split, and their order.

``split`` writes ``images.zip.part_aa``, ``images.zip.part_ab`` and so on, 7-Zip
``images.zip.001``. These are pieces of one file. ``zip -s`` writes disks instead: ``images.z01``,
``images.z02`` and, as the last one, ``images.zip``.
"""

import re
from collections.abc import Iterable
from itertools import pairwise

import msgspec

_ARCHIVE = r"zip|tar|t?gz|tbz2?|t?bz2|t?xz|t?zst|7z|rar"
_PIECE = re.compile(
    rf"(?P<stem>.+(?:[._-]part[._-]?|\.(?:{_ARCHIVE})[._-]))(?P<count>[a-z]{{2,4}}|\d{{1,5}})",
    re.IGNORECASE,
)
_DISK = re.compile(r"(?P<stem>.+\.z)(?P<count>\d{2,5})", re.IGNORECASE)
_LONGER = re.compile("9+0+|z+a+", re.IGNORECASE)
_ZIP = re.compile(r".+\.zip", re.IGNORECASE)


class PieceName(msgspec.Struct, frozen=True):
    """The name of a piece: what all pieces of a file have in common, and what counts them."""

    stem: str
    count: str

    @property
    def order(self) -> tuple[int, str]:
        """A key that sorts the pieces of a file."""
        return (int(self.count), "") if self.count.isdigit() else (0, self.count)


def piece_name(name: str) -> PieceName | None:
    """Parses the name of a piece. Returns None if it is that of a whole file.

    >>> piece_name("images.zip.part_ab")
    PieceName(stem='images.zip.part_', count='ab')
    >>> piece_name("images.zip.002"), piece_name("images.tar.gz"), piece_name("part_aa.zip")
    (PieceName(stem='images.zip.', count='002'), None, None)
    """
    found = _PIECE.fullmatch(name)
    if found is None:
        return None
    if found["stem"].endswith(".") and re.fullmatch(_ARCHIVE, found["count"], re.IGNORECASE):
        return None  # images.tar.gz, while images.tar_gz would be a piece
    return PieceName(found["stem"], found["count"])


def missing_piece(counts: Iterable[str]) -> str | None:
    """The count of the first piece that is missing before the last one of `counts`, or None.

    `counts` are in order. The counts of ``split`` get longer: zaaa follows yz, and 9000 follows 89.

    >>> missing_piece(["aa", "ab", "ad"]), missing_piece(["002", "003"])
    ('ac', '001')
    >>> missing_piece(["000", "001"]), missing_piece(["yy", "yz", "zaaa"])
    (None, 'aa')
    """
    known = list(counts)
    first = known[0]
    if first.isdigit():
        if int(first) > 1:
            return "1".zfill(len(first))
    elif first.strip("aA"):
        return ("A" if first.isupper() else "a") * len(first)
    for before, count in pairwise(known):
        after = _following(before)
        if len(count) > len(after) and _LONGER.fullmatch(after):
            after += "00" if after.isdigit() else after[-1] * 2
        if count != after:
            return after
    return None


def _following(count: str) -> str:
    if count.isdigit():
        return str(int(count) + 1).zfill(len(count))
    stem = count.rstrip("zZ")
    if not stem:
        return count
    last = "A" if count.isupper() else "a"
    return stem[:-1] + chr(ord(stem[-1]) + 1) + last * (len(count) - len(stem))


def is_zip_name(name: str) -> bool:
    """Whether a name has the suffix of a zip, which may be the last of several disks."""
    return _ZIP.fullmatch(name) is not None


def disk_name(zip_name: str, number: int) -> str:
    """The name of a disk of a split zip, whose first disk has the number 0.

    >>> disk_name("images.zip", 0), disk_name("IMAGES.ZIP", 99)
    ('images.z01', 'IMAGES.Z100')
    """
    return f"{zip_name[:-2]}{number + 1:02}"


def zip_of_disk(name: str) -> str | None:
    """The name of the last disk, by which a split zip is called, or None if this is no disk.

    >>> zip_of_disk("images.z01"), zip_of_disk("images.zip")
    ('images.zip', None)
    """
    found = _DISK.fullmatch(name)
    if found is None:
        return None
    return found["stem"] + ("IP" if found["stem"].endswith("Z") else "ip")
