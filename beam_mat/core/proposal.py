"""Missing images in groups, and the option of each group that makes its images match.

A path in a record is rewritten before it is looked for (`layout.rewrite`). An option that is
proposed begins with the path as the record has it. It is complete: it has the pairs that the user
gave, in an order in which each has its effect.
"""

import posixpath
import shlex
from collections import Counter
from collections.abc import Iterable, Sequence

import msgspec

from beam_mat.core.layout import DEFAULT_REWRITE, rewrite
from beam_mat.core.nearest import Near, common, split_suffix

Pairs = tuple[tuple[str, str], ...]

MOST_FOLDERS = 20
"""Groups that differ only in a folder are one group if there are more of them."""


class Move(msgspec.Struct, frozen=True, array_like=True, order=True):
    """How paths become those of members: by replacing the beginning, and perhaps the suffix.

    Attributes:
        old, new: What the published path and the member's path begin with, up to a slash or "".
        suffix, other: The suffixes, if they differ.
        name: Whether the names are spelled differently. No prefix can replace them.
        archive: URI of the archive in a folder that has the members, or "".
        found: Whether there is a member. If not, only `old` is set.
        is_one_of: Whether other members are as near.
    """

    old: str
    new: str = ""
    suffix: str = ""
    other: str = ""
    name: bool = False
    archive: str = ""
    found: bool = True
    is_one_of: bool = False

    def without_folder(self) -> "Move":
        """The same, without the folder that both begin with."""
        old, new = (text.rstrip("/").rpartition("/") for text in (self.old, self.new))
        if not self.found or self.name:
            return msgspec.structs.replace(self, old="", new="")
        if old[2] != new[2]:
            return self
        return msgspec.structs.replace(self, old=_folder(old[0]), new=_folder(new[0]))


class Group(msgspec.Struct, frozen=True):
    """Missing images for which the same move is proposed.

    `below` is the longest folder that has all of them, with a slash at its end, or "". `path` is
    the first of them, and `near` the member that is nearest to it. The members are in `several`
    sources or in one.
    """

    move: Move
    below: str
    count: int
    path: str
    near: Near | None = None
    several: bool = False


class Groups(msgspec.Struct, frozen=True):
    """The groups of a batch of missing images."""

    groups: tuple[Group, ...]


def move(path: str, near: Near | None) -> Move:
    """Returns how the published path becomes that of its nearest member.

    >>> found = move("gqa/1.jpg", Near(0, "data/gqa/1.png", "files.zip"))
    >>> found.old, found.new, found.suffix, found.other
    ('gqa/', 'data/gqa/', '.jpg', '.png')
    """
    *folders, name = path.split("/")
    if near is None:
        return Move(_folder("/".join(folders[:1])), found=False)
    archive = near.source if near.inside else ""
    *others, member = near.path.split("/")
    (stem, suffix), (stem2, suffix2) = split_suffix(name), split_suffix(member)
    if stem != stem2:
        old, new = _folder("/".join(folders)), _folder("/".join(others))
        return Move(old, new, name=True, archive=archive, is_one_of=near.is_one_of)
    same = common(folders, others)
    keep = min(1, same) if path != near.path else 0
    return Move(
        old=_folder("/".join(folders[: len(folders) - same + keep])),
        new=_folder("/".join(others[: len(others) - same + keep])),
        suffix=suffix if suffix != suffix2 else "",
        other=suffix2 if suffix != suffix2 else "",
        archive=archive,
        is_one_of=near.is_one_of,
    )


def group(found: Iterable[tuple[str, Near | None]]) -> tuple[Group, ...]:
    """Returns the groups of missing paths, each with its nearest member."""
    made: dict[Move, Group] = {}
    for path, near in found:
        key = move(path, near)
        below = _folder(posixpath.dirname(path))
        _add(made, Group(key, below, 1, path, near))
    return _few(made.values())


def merge(found: Iterable[Group]) -> tuple[Group, ...]:
    """Adds up groups, and returns them: those with a nearest member first, then the largest."""
    made: dict[Move, Group] = {}
    for one in found:
        _add(made, one)
    few = {one.move: one for one in _few(made.values())}
    return tuple(sorted(few.values(), key=lambda one: (one.near is None, -one.count, one.move)))


def _add(made: dict[Move, Group], one: Group) -> None:
    known = made.get(one.move)
    if known is None:
        made[one.move] = one
        return
    first = min(known, one, key=lambda each: each.path)
    near, other = known.near, one.near
    several = known.several or one.several or (near and near.source) != (other and other.source)
    below, count = _shared(known.below, one.below), known.count + one.count
    made[one.move] = Group(one.move, below, count, first.path, first.near, several)


def _few(groups: Iterable[Group]) -> tuple[Group, ...]:
    """Merges groups that differ only in a folder, if they are many. The order has no effect."""
    groups = list(groups)
    wide = Counter(one.move.without_folder() for one in groups)
    made: dict[Move, Group] = {}
    for one in groups:
        key = one.move.without_folder()
        is_merged = wide[key] > MOST_FOLDERS or one.move == key
        _add(made, msgspec.structs.replace(one, move=key) if is_merged else one)
    return tuple(made[key] for key in sorted(made))


def _shared(one: str, other: str) -> str:
    """The longest folder that both are below.

    >>> _shared("gqa/a/", "gqa/ab/")
    'gqa/'
    """
    return _folder("/".join(posixpath.commonprefix([one.split("/")[:-1], other.split("/")[:-1]])))


def _folder(path: str) -> str:
    return f"{path}/" if path else ""


def pairs_of(one: Group, prefixes: Pairs) -> Pairs:
    """Returns the pairs for ``--rewrite`` that make the images of a group match.

    `prefixes` are those with which the paths were rewritten. Returns several pairs if the paths may
    have been rewritten or not, and none if that is not possible.
    """
    near = one.near
    if near is None or near.is_one_of or one.path == near.path:
        return ()
    if one.move.name or (not one.below and not one.move.old and one.count == 1):
        if one.count > 1:
            return ()
        new, rest = near.path, ""
    else:
        # The longest folder is the safest: other images are least likely to be below it.
        new = one.move.new + one.below[len(one.move.old) :]
        rest = split_suffix(one.path)[0][len(one.below) :]
    found = []
    for raw in raws(one.path, prefixes):
        stem, suffix = split_suffix(raw) if rest else (raw, "")
        if not stem.endswith(rest):
            return ()
        begin, other = stem[: len(stem) - len(rest)], split_suffix(near.path)[1]
        pair = (begin, new)
        if rest and suffix != other:
            pair = (f"{begin}*{suffix}", f"{new}*{other}")
        if not _can_be_typed(pair):
            return ()
        found.append(pair)
    after = _with(found, prefixes)
    works = all(rewrite(raw, after) == near.path for raw in raws(one.path, prefixes))
    return tuple(found) if works else ()


def _can_be_typed(pair: tuple[str, str]) -> bool:
    old, new = pair
    return pair != ("", "") and "=" not in old and old.count("*") == new.count("*") <= 1


def raws(path: str, prefixes: Pairs) -> list[str]:
    """Returns the paths in records that are rewritten to a published path.

    >>> raws("tongagent/1.jpg", DEFAULT_REWRITE)
    ['data/open_llava_next/1.jpg', 'tongagent/1.jpg']
    """
    found = []
    for old, new in prefixes:
        begin, _, end = old.partition("*")
        before, _, after = new.partition("*")
        if path.startswith(before) and path.endswith(after):
            found.append(begin + path[len(before) : len(path) - len(after)] + end)
    return [raw for raw in dict.fromkeys([*found, path]) if rewrite(raw, prefixes) == path]


def option(more: Iterable[tuple[str, str]], prefixes: Pairs) -> str:
    """Returns ``--rewrite`` with more pairs than those that were given.

    A pair has an effect only if no pair before it begins like it. The defaults are left out, unless
    they must come before one of the new pairs.

    >>> option([("a/b/", "x/")], (("a/", "y/"), *DEFAULT_REWRITE))
    '--rewrite a/b/=x/ a/=y/'
    """
    pairs = _with(more, prefixes)
    if pairs[-len(DEFAULT_REWRITE) :] == DEFAULT_REWRITE:
        pairs = pairs[: -len(DEFAULT_REWRITE)]
    return " ".join(["--rewrite", *(shlex.quote(f"{old}={new}") for old, new in pairs)])


def _with(more: Iterable[tuple[str, str]], prefixes: Pairs) -> Pairs:
    pairs = list(prefixes)
    for pair in more:
        pairs.insert(_place(pair, pairs), pair)
    return tuple(dict.fromkeys(pairs))


def _place(pair: tuple[str, str], pairs: Sequence[tuple[str, str]]) -> int:
    begin = pair[0].partition("*")[0]
    longer = 0
    for at, (old, _) in enumerate(pairs):
        known = old.partition("*")[0]
        if begin.startswith(known):
            return at
        if known.startswith(begin):
            longer = at + 1
    return longer


def detail(path: str, near: Near | None = None, prefixes: Pairs = ()) -> str:
    """Returns why an image is missing, with the nearest member and the option for it."""
    said = f"{path!r} is in none of the image sources"
    if near is None:
        return said
    how = move(path, near)
    one = Group(how, how.old, 1, path, near)
    place = f"{_name(near.source)}, an archive in that folder," if near.inside else ""
    spelled = f"{said}; {place or _name(near.source)} has {near.path!r}"
    return f"{spelled}: {_cure(one, prefixes)}"


def line(one: Group, prefixes: Pairs, found: int = 0) -> str:
    """Returns a sentence on a group for the summary.

    `found` is the number of images that are found now, but not with the option.
    """
    noun = "image" if one.count == 1 else "images"
    where = f"below {one.below}" if one.below else "in no folder in common"
    what = f"{one.count:,} {noun} {where}" if one.count > 1 else f"1 image, {one.path}"
    near = one.near
    if near is None:
        like = f"them, for example {one.path}" if one.count > 1 else "it"
        return f"{what}: no image source has anything like {like}"
    source = "the image sources have" if one.several else f"{_name(near.source)} has"
    if one.move.archive:
        source = f"{_name(near.source)}, which is in a folder of --images, has"
    them = "them" if one.count > 1 else "it"
    place = f"{them} as {near.path}"
    if one.count > 1 and not one.move.name and not one.move.is_one_of:
        new = one.move.new + one.below[len(one.move.old) :]
        place = f"{them} below {new}" if new else f"{them} in no folder"
        place = them if one.path == near.path else place
        place += f" as {one.move.other}" if one.move.suffix else ""
    elif one.count > 1:
        place = f"members like them, for example {near.path} for {one.path}"
    cure = _cure(one, prefixes)
    if found:
        now = "1 image that is" if found == 1 else f"{found:,} images that are"
        cure += (
            f"; but {now} found now would not be found with it, so change paths in the records "
            "instead"
        )
    return f"{what}: {source} {place}: {cure}"


def _cure(one: Group, prefixes: Pairs) -> str:
    """Returns what makes the images of a group match."""
    assert one.near
    if one.move.is_one_of:
        return "other members are as near, so correct the path in the record"
    cures = [f"add {one.near.source} to --images"] if one.near.inside else []
    if one.path != one.near.path:
        pairs = pairs_of(one, prefixes)
        by_hand = "spell the paths in the records as the members, or rename these"
        cures.append(option(pairs, prefixes) if pairs else by_hand)
    return " and ".join(cures)


def _name(source: str) -> str:
    return posixpath.basename(source.rstrip("/")) or source
