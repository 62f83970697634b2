"""The work of a dry run: looks images up in the directories of their sources, and reads none."""

from collections.abc import Callable, Sequence

from beam_mat.core import layout
from beam_mat.core.member import Member
from beam_mat.core.results import Wanted
from beam_mat.core.settings import Settings
from beam_mat.work.convert_image import ImageRow, fault_row, missing_row
from beam_mat.work.images import folder_of, write_rows

FOUND = "found"
"""The status of an image that would be converted."""


def look_up_batch(
    settings: Settings,
    batch: str,
    wanted: Sequence[Wanted],
    source_of: Callable[[Member], tuple[str, str]],
    done: Callable[[int], object],
) -> tuple[list[ImageRow], str]:
    """Returns the same as `images.convert_batch`, as far as it is known without reading an image.

    The rows of images that are found have the URI of the source, and the bytes in it.
    """
    rows = [_row(settings, item, source_of) for item in wanted]
    done(len(rows))
    return rows, write_rows(settings, folder_of(settings, "", "", batch), rows)


def _row(
    settings: Settings, item: Wanted, source_of: Callable[[Member], tuple[str, str]]
) -> ImageRow:
    member = item.member
    if member is None:
        return missing_row(item.path, item.near, settings.prefixes)
    if member.fault:
        return fault_row(member, member.fault, "")
    uri, _ = source_of(member)
    file = f"{layout.IMAGES}/{item.path}"
    return ImageRow(item.path, file, FOUND, source=uri, source_bytes=member.packed)
