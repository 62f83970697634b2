"""Finds the members that a missing image could be: those whose path differs only a little.

Two paths are near each other if they end in the same folders and the same name, apart from upper
and lower case, Unicode form and the suffix. Such a common end is found by its key, a hash, so that
millions of paths and members can be joined by key. An end that many paths have in common, such as
``screenshot.png``, says nothing, and is not used.
"""

import hashlib
import posixpath
import unicodedata
from collections.abc import Iterable, Iterator

import msgspec

SUFFIXES = frozenset(
    (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff")
)
"""Suffixes of images, in lower case. A name may end in anything else after a dot."""

ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz")
"""Suffixes of archives in a folder of images, in which missing images are looked for."""

MOST = 32
"""How many missing paths, or members of a source, may have an end in common."""

FIRST, LAST = 4, 8
"""Ends of a path that are used, if it is deep: those without its first folders, and the short."""

SLOTS = 1 << 22
"""Keys are counted in this many slots. If keys share a slot, only some proposals are lost."""


class Near(msgspec.Struct, frozen=True, array_like=True, order=True):
    """A member that a missing image could be.

    `order` is that of its source, see `Member.order`. `source` is the URI of the source, or of an
    archive in that source, which is a folder (`inside`). `path` is "" if the source has more than
    `MOST` members with a key. `is_one_of` is whether other members are as near as this one.
    """

    order: int
    path: str
    source: str
    inside: bool = False
    is_one_of: bool = False


def split_suffix(path: str) -> tuple[str, str]:
    """Splits the suffix of an image from its path.

    >>> split_suffix("a/1.JPG"), split_suffix("a/v1.5")
    (('a/1', '.JPG'), ('a/v1.5', ''))
    """
    stem, suffix = posixpath.splitext(path)
    return (stem, suffix) if suffix.lower() in SUFFIXES else (path, "")


def plain(path: str) -> list[str]:
    """The folders and the name of a path, without what may differ between near paths.

    >>> plain("Coco/A.JPG") == plain("coco/a.png")
    True
    """
    # Case folding can undo a normal form, so the form is made again.
    folded = unicodedata.normalize("NFC", unicodedata.normalize("NFC", path).casefold())
    return split_suffix(folded)[0].split("/")


def keys(path: str) -> list[int]:
    """The keys of the ends of a path, beginning with the whole path: 64-bit hashes.

    >>> keys("data/gqa/1.jpg")[1:] == keys("gqa/1.png")
    True
    """
    found = []
    key = b""
    for part in reversed(plain(path)):
        name = part.encode("utf-8", "surrogatepass")
        key = hashlib.blake2b(name, key=key, digest_size=8).digest()
        found.append(int.from_bytes(key, "big"))
    found.reverse()
    return found if len(found) <= FIRST + LAST else found[:FIRST] + found[-LAST:]


def slot(key: int) -> int:
    """The slot in which a key is counted."""
    return key % SLOTS


def common(one: list[str], other: list[str]) -> int:
    """The number of parts in which two lists end equally.

    >>> common(["a", "b", "c"], ["x", "b", "c"])
    2
    """
    length = 0
    for left, right in zip(reversed(one), reversed(other), strict=False):
        if left != right:
            break
        length += 1
    return length


def nearest(path: str, members: Iterable[Near]) -> Near | None:
    """Returns the member that differs least from a missing path, or None if none is near.

    If members with different paths differ equally, it is the first and `Near.is_one_of` is set.
    """
    best = _best(path, members)
    if not best:
        return None
    several = any(one.path != best[0].path for one in best)
    return msgspec.structs.replace(best[0], is_one_of=several)


def pair(paths: Iterable[str], members: Iterable[Near]) -> Iterator[tuple[str, Near]]:
    """Yields each missing path of a key with the nearest of the key's members.

    If several are equally near, yields two, so that `nearest` knows. Yields nothing if a source
    has too many members with this key.
    """
    found = set(members)
    if any(not one.path for one in found):
        return
    for path in sorted(set(paths)):
        best = _best(path, found)
        other = [one for one in best if one.path != best[0].path]
        for near in best[:1] + other[:1]:
            yield path, near


def _best(path: str, members: Iterable[Near]) -> list[Near]:
    """The members that differ least from a path, in order."""
    ranked = [(cost, one) for one in members if (cost := _difference(path, one)) is not None]
    least = min(ranked, default=(0, None))[0]
    return sorted(one for cost, one in ranked if cost == least)


def _difference(path: str, member: Near) -> int | None:
    mine, other = plain(path), plain(member.path)
    same = common(mine, other)
    left, right = len(mine) - same, len(other) - same
    # The name alone says little: two sets of images may both have a 1.jpg.
    if not same or (left and right and same < 2):
        return None
    (stem, suffix), (stem2, suffix2) = split_suffix(path), split_suffix(member.path)
    respelled = stem.split("/")[-same:] != stem2.split("/")[-same:]
    return 4 * (left + right) + 2 * (suffix != suffix2) + respelled + member.inside
