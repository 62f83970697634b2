"""What a dataset's images are like, before and after."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from beam_mat.core.histogram import Histogram, count, merge, ordered


class ImageFile(NamedTuple):
    """One image file."""

    format: str
    width: int
    height: int
    bytes: int


class ConvertedImage(NamedTuple):
    """A usable image as it came and as it was written."""

    before: ImageFile
    after: ImageFile


class Amount(msgspec.Struct, frozen=True, array_like=True):
    """So many files with so many bytes in all."""

    files: int = 0
    bytes: int = 0


class ImageStatistics(msgspec.Struct):
    """Of a dataset's usable images, each counted once.

    Attributes:
        formats_before, formats_after: Files and bytes by format.
        pixels_before, pixels_after: Width times height.
    """

    formats_before: dict[str, Amount] = {}  # msgspec copies it, like those below
    formats_after: dict[str, Amount] = {}
    pixels_before: Histogram = {}
    pixels_after: Histogram = {}

    def add(self, image: ConvertedImage) -> None:
        """Counts an image."""
        for file, formats, pixels in (
            (image.before, self.formats_before, self.pixels_before),
            (image.after, self.formats_after, self.pixels_after),
        ):
            known = formats.get(file.format, Amount())
            formats[file.format] = Amount(known.files + 1, known.bytes + file.bytes)
            count(pixels, file.width * file.height)

    def merge(self, other: ImageStatistics) -> None:
        """Adds those of other images."""
        for formats, more in (
            (self.formats_before, other.formats_before),
            (self.formats_after, other.formats_after),
        ):
            for name, amount in more.items():
                known = formats.get(name, Amount())
                formats[name] = Amount(known.files + amount.files, known.bytes + amount.bytes)
        merge(self.pixels_before, other.pixels_before)
        merge(self.pixels_after, other.pixels_after)

    def ordered(self) -> ImageStatistics:
        """The same, in the order in which it is written down."""
        return ImageStatistics(
            ordered(self.formats_before),
            ordered(self.formats_after),
            ordered(self.pixels_before),
            ordered(self.pixels_after),
        )
