"""Sentences on the missing images of a conversion, with the options that make them match."""

from collections.abc import Sequence

from beam_mat.core.proposal import Group, line, option, pairs_of
from beam_mat.core.results import Part
from beam_mat.core.settings import Settings
from beam_mat.dataset import image_table
from beam_mat.work.missing import read_groups

SHOWN = 20
"""Groups that are printed."""


def missing_lines(settings: Settings, images: Sequence[Part]) -> list[str]:
    """Returns a sentence for each group of missing images, and an option for all groups.

    `images` are the tables of images of the conversion, whose graph has ended.
    """
    groups = read_groups(settings)
    shown = groups[:SHOWN]
    found = _found(settings.output, images, shown)
    said = [line(one, settings.prefixes, n) for one, n in zip(shown, found, strict=True)]
    if len(groups) > SHOWN:
        rest = sum(one.count for one in groups[SHOWN:])
        said.append(f"{rest:,} images in {len(groups) - SHOWN:,} smaller groups")
    pairs: dict[str, str] = {}
    for one, lost in zip(shown, found, strict=True):
        for old, new in () if lost else pairs_of(one, settings.prefixes):
            pairs.setdefault(old, new)
    if sum(bool(pairs_of(one, settings.prefixes)) for one in shown) > 1:
        said.append(f"for all of them: {option(pairs.items(), settings.prefixes)}")
    return said


def _found(output: str, images: Sequence[Part], groups: Sequence[Group]) -> list[int]:
    """Returns for each group how many images are found now, and would not be with its option."""
    moved = [one for one in groups if one.near and one.path != one.near.path]
    places = [(one.below, one.move.suffix) for one in moved]
    paths = [part.path for part in images] if places else []
    counts = dict(zip(places, image_table.count_usable(output, paths, places), strict=True))
    return [counts.get((one.below, one.move.suffix), 0) if one in moved else 0 for one in groups]
