"""Where missing images of a dataset may be: above or below the folder that paths start from."""

from __future__ import annotations

import posixpath
import shlex
from collections import defaultdict
from collections.abc import Iterable

import msgspec

from beam_mat.core.errors import SourceError, StoreError
from beam_mat.core.nearest import Near, keys, nearest
from beam_mat.core.proposal import Group
from beam_mat.core.results import Source
from beam_mat.work.data_files import has_image
from beam_mat.work.missing import candidates

SHOWN = 20
"""Groups of an entry for which images are looked for."""


class MissingImages(msgspec.Struct):
    """Missing images of an entry that are below the same folder.

    `nearest` is the file, or the file in an archive, that is nearest to the `example`, and `cure`
    what makes the example match. Both are "" if there is nothing like it.
    """

    entry: str
    below: str
    count: int
    example: str
    nearest: str
    cure: str


def proposals(found: Iterable[tuple[str, Group]], media: str) -> list[MissingImages]:
    """Returns where the groups of missing images may be. `found` has the entry of each group.

    `media` is the folder that paths start from. It is listed once, and archives in it.
    """
    groups = list(found)
    near = _near([one.path for _, one in groups], media)
    made = []
    for entry, one in groups:
        at, cure = _cure(one.path, near.get(one.path), media)
        made.append(MissingImages(entry, one.below, one.count, one.path, at, cure))
    return made


def _near(paths: list[str], media: str) -> dict[str, Near | None]:
    """The nearest file of each path that is not in the folder above."""
    paths = [path for path in paths if not _is_above(path, media)]
    if not paths:
        return {}
    wanted = {key for path in paths for key in keys(path)}
    members = defaultdict[int, set[Near]](set)
    try:
        for key, near in candidates(Source(media, 0), wanted.__contains__):
            members[key].add(near)
    except (OSError, SourceError, StoreError):
        return {}  # a folder that cannot be listed has no proposals; its images were looked up
    return {path: _of_keys(path, members) for path in paths}


def _of_keys(path: str, members: dict[int, set[Near]]) -> Near | None:
    of_keys = [members[key] for key in keys(path) if key in members]
    return nearest(
        path, (near for some in of_keys if all(one.path for one in some) for near in some)
    )


def _is_above(path: str, media: str) -> bool:
    above = posixpath.dirname(media)
    # There is nothing above a bucket or the root of a disk.
    return above not in (media, "") and not above.endswith(":") and has_image(above, path)


def _cure(path: str, near: Near | None, media: str) -> tuple[str, str]:
    """Returns where an image may be, and what makes it match."""
    if near is None:
        above = posixpath.dirname(media)
        there = _is_above(path, media)
        return (f"{above}/{path}", f"set media_dir to {above}") if there else ("", "")
    if near.is_one_of:
        return near.path, "other files are as near, so correct the paths in the rows"
    if near.inside:
        place = f"{near.path} in {near.source}"
        if near.path == path:
            return place, f"unpack it: unzip {shlex.quote(near.source)} -d {shlex.quote(media)}"
        return place, "unpack the archive, and spell the paths in the rows as they are in it"
    if near.path.endswith(f"/{path}"):
        return near.path, f"set media_dir to {media}/{near.path.removesuffix(f'/{path}')}"
    return near.path, "spell the paths in the rows as the files, or rename these"
