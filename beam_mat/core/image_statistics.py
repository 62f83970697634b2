"""Statistics of a dataset's images, before and after the conversion."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from beam_mat.core.histogram import Histogram, count, merge, ordered


class ImageFile(NamedTuple):
    """Format, width and height in pixels, and size in bytes of one image file."""

    format: str
    width: int
    height: int
    bytes: int


class ConvertedImage(NamedTuple):
    """A usable image as it was read and as it was written."""

    before: ImageFile
    after: ImageFile


class Amount(msgspec.Struct, frozen=True, array_like=True):
    """A number of files and their total size in bytes."""

    files: int = 0
    bytes: int = 0


class ImageStatistics(msgspec.Struct):
    """Statistics of a dataset's usable images. Each image is counted once.

    Attributes:
        formats_before, formats_after: Files and bytes by format.
        pixels_before, pixels_after: Histograms of width times height.
    """

    formats_before: dict[str, Amount] = {}  # msgspec copies mutable defaults
    formats_after: dict[str, Amount] = {}
    pixels_before: Histogram = {}
    pixels_after: Histogram = {}

    def add(self, image: ConvertedImage) -> None:
        """Adds an image."""
        for file, formats, pixels in (
            (image.before, self.formats_before, self.pixels_before),
            (image.after, self.formats_after, self.pixels_after),
        ):
            known = formats.get(file.format, Amount())
            formats[file.format] = Amount(known.files + 1, known.bytes + file.bytes)
            count(pixels, file.width * file.height)

    def merge(self, other: ImageStatistics) -> None:
        """Adds the statistics of other images."""
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
        """A copy with all keys sorted, which is the order in files."""
        return ImageStatistics(
            ordered(self.formats_before),
            ordered(self.formats_after),
            ordered(self.pixels_before),
            ordered(self.pixels_after),
        )
