"""Images before and after."""

from __future__ import annotations

from beam_mat.core.histogram import bucket
from beam_mat.core.image_statistics import Amount, ConvertedImage, ImageFile, ImageStatistics


def test_images_before_and_after() -> None:
    found = ImageStatistics()
    found.add(ConvertedImage(ImageFile("WEBP", 640, 480, 900), ImageFile("JPEG", 591, 443, 300)))
    found.add(ConvertedImage(ImageFile("JPEG", 10, 4, 90), ImageFile("JPEG", 10, 4, 90)))
    assert found.formats_before == {"WEBP": Amount(1, 900), "JPEG": Amount(1, 90)}
    assert found.ordered().formats_after == {"JPEG": Amount(2, 390)}
    assert found.pixels_after == {40: 1, bucket(591 * 443): 1}
