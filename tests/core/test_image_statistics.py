"""Images before and after."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from beam_mat.core.histogram import bucket
from beam_mat.core.image_statistics import Amount, ConvertedImage, ImageFile, ImageStatistics

FILES = st.builds(
    ImageFile,
    st.sampled_from(["JPEG", "PNG"]),
    st.integers(1, 999),
    st.integers(1, 999),
    st.integers(1, 10**6),
)
IMAGES = st.builds(ConvertedImage, FILES, FILES)


def test_images_before_and_after() -> None:
    found = ImageStatistics()
    found.add(ConvertedImage(ImageFile("WEBP", 640, 480, 900), ImageFile("JPEG", 591, 443, 300)))
    found.add(ConvertedImage(ImageFile("JPEG", 10, 4, 90), ImageFile("JPEG", 10, 4, 90)))
    assert found.formats_before == {"WEBP": Amount(1, 900), "JPEG": Amount(1, 90)}
    assert found.ordered().formats_after == {"JPEG": Amount(2, 390)}
    assert found.pixels_after == {40: 1, bucket(591 * 443): 1}


@given(images=st.lists(IMAGES, max_size=12), cut=st.integers(0, 12))
def test_parts_merged_are_the_whole(images: list[ConvertedImage], cut: int) -> None:
    whole, first, rest = ImageStatistics(), ImageStatistics(), ImageStatistics()
    for at, image in enumerate(images):
        whole.add(image)
        (first if at < cut else rest).add(image)
    first.merge(rest)
    assert first.ordered() == whole.ordered()
