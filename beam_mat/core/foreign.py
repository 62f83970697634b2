"""Recognises files that are given as images but cannot be read, by their first bytes."""

_CANNOT = "which LLaMA-Factory cannot read"

_BRANDS = {
    **dict.fromkeys((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevm", b"hevx"), "HEIC"),
    **dict.fromkeys((b"mif1", b"msf1"), "HEIF"),
    **dict.fromkeys((b"avif", b"avis"), "AVIF"),
}
"""Brands of files that begin with a box ``ftyp`` (ISO 14496-12), and what they are."""

_FORMATS = (
    (b"%PDF-", "PDF"),
    (b"\xff\x0a", "JPEG XL"),
    (b"\0\0\0\x0cJXL ", "JPEG XL"),
    (b"\0\0\0\x0cjP  ", "JPEG 2000"),
    (b"\xff\x4f\xff\x51", "JPEG 2000"),
    (b"8BPS", "a Photoshop file"),
    (b"\0\0\x01\0", "an icon (ICO)"),
    (b"PK\x03\x04", "a zip"),
    (b"\x1f\x8b", "compressed with gzip"),
)


def foreign(data: bytes) -> str | None:
    r"""What a file is that is no image, or an image of a format that is not accepted, or None.

    >>> foreign(b"\0\0\0\x18ftypheic"), foreign(b"")
    ('the file is HEIC, which LLaMA-Factory cannot read', 'the file is empty')
    """
    if not data:
        return "the file is empty"
    if not data.strip(b"\0"):
        return "the file has only null bytes"
    if data.startswith(b"version https://git-lfs"):
        return "the file is a Git LFS pointer and not the image itself"
    if data[4:8] == b"ftyp":
        return f"the file is {_BRANDS.get(data[8:12], 'a video')}, {_CANNOT}"
    for magic, what in _FORMATS:
        if data.startswith(magic):
            return f"the file is {what}, {_CANNOT}"
    text = data[:4096].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if text.startswith((b"<svg", b"<?xml", b"<!doctype svg")) and b"<svg" in text:
        return f"the file is SVG, {_CANNOT}"
    if text.startswith((b"<!doctype html", b"<html", b"<head", b"<body", b"<?xml")):
        return "the file is a web page (HTML or XML) and not an image"
    return None
