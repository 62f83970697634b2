"""Files that are given as images but are none are named for what they are."""

from __future__ import annotations

import pytest

from beam_mat.core.image import FORMATS, ImageFault, ImageRules, prepare
from tests.making import picture


@pytest.mark.parametrize(
    ("data", "detail"),
    [
        (b"", "the file is empty"),
        (b"\0" * 4096, "the file has only null bytes"),
        (b"\0\0\0\x24ftypheic" + b"x" * 99, "the file is HEIC, which LLaMA-Factory cannot read"),
        (b"\0\0\0\x24ftypmif1" + b"x" * 99, "the file is HEIF, which LLaMA-Factory cannot read"),
        (picture(format="AVIF"), "the file is AVIF, which LLaMA-Factory cannot read"),
        (b"\0\0\0\x24ftypisom" + b"x" * 99, "the file is a video, which LLaMA-Factory cannot read"),
        (b'<svg xmlns="http://www.w3.org/2000/svg"/>', "the file is SVG"),
        (b'<?xml version="1.0"?>\n<!-- a --><svg/>', "the file is SVG"),
        (b"%PDF-1.7\n", "the file is PDF, which LLaMA-Factory cannot read"),
        (b"\n<!DOCTYPE html><html>", "the file is a web page (HTML or XML) and not an image"),
        (b"<?xml version='1.0'?><Error>", "the file is a web page"),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
            "the file is a Git LFS pointer and not the image itself",
        ),
        (picture(format="JPEG2000"), "the file is JPEG 2000"),
        (b"some text", f"the format is none of {', '.join(FORMATS)}"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_no_image_is_named(data: bytes, detail: str) -> None:
    found = prepare(data, ImageRules())
    assert isinstance(found, ImageFault)
    assert found.reason == "image_undecodable"
    assert detail in found.detail
