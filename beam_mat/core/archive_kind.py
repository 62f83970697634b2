"""What a file is, by its first bytes, whatever it is called."""

from enum import Enum

from beam_mat.core import tar
from beam_mat.core.compression import codec_of

HEAD_BYTES = 1 << 10
"""How many bytes `kind_of` and `what_it_is` need."""


class Kind(str, Enum):
    """A kind of file that is read as images, or unpacked first."""

    TAR = "tar"
    GZIP = "gzip"
    BZIP2 = "bzip2"
    XZ = "xz"
    ZSTD = "zstd"

    @property
    def is_compressed(self) -> bool:
        return self is not Kind.TAR


_UNPACK = "unpack it with: {command}; then give the folder to --images"
_OTHERS: tuple[tuple[bytes, str, str], ...] = (
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", "7z x {name} -oimages"),
    (b"Rar!\x1a\x07", "a RAR archive", "unrar x {name} images/"),
    (b"\x04\x22\x4d\x18", "compressed by lz4", "lz4 -dc {name} | tar -x --one-top-level=images"),
    (b"LZIP", "compressed by lzip", "lzip -dc {name} | tar -x --one-top-level=images"),
    (b"\x5d\0\0", "compressed by lzma", "xz -dc {name} | tar -x --one-top-level=images"),
    (b"\x1f\x9d", "compressed by compress", "gzip -dc {name} | tar -x --one-top-level=images"),
    (b"MSCF", "a cabinet file", "cabextract -d images {name}"),
    (b"hsqs", "a squashfs image", "unsquashfs -d images {name}"),
    (b"0707", "a cpio archive", "mkdir images; cd images; cpio -idm < ../{name}"),
    (b"!<arch>\n", "an ar archive", "mkdir images; cd images; ar x ../{name}"),
    (b"xar!", "a xar archive", "xar -x -C images -f {name}"),
)
_IMAGES = "give the zip, tar or folder that contains the images"
_NOT_ARCHIVES = (
    (
        b"version https://git-lfs",
        "a pointer of Git LFS",
        "fetch the file with: git lfs pull",
    ),
    (b"PAR1", "a Parquet file", f"write its images to a folder; or {_IMAGES}"),
    (b"ARROW1", "an Arrow file", f"write its images to a folder; or {_IMAGES}"),
    (b"\x89HDF", "an HDF5 file", f"write its images to a folder; or {_IMAGES}"),
    (b"\x93NUMPY", "a NumPy file", f"write its images to a folder; or {_IMAGES}"),
    (b"SQLite format 3", "an SQLite database", f"write its images to a folder; or {_IMAGES}"),
    (b"\xff\xd8\xff", "a JPEG image", "give the folder that contains it"),
    (b"\x89PNG", "a PNG image", "give the folder that contains it"),
    (b"GIF8", "a GIF image", "give the folder that contains it"),
    (b"%PDF", "a PDF file", _IMAGES),
)


def kind_of(head: bytes) -> Kind | None:
    """The kind of a file with these first bytes; None for a zip, and for anything else.

    A zip is known by its end.
    """
    if codec := codec_of(head):
        return Kind(codec.value)
    return Kind.TAR if tar.begins(head) else None


def what_it_is(head: bytes, name: str) -> str | None:
    """Says what a file is that cannot be read, and what to do; None if it is not known.

    >>> print(what_it_is(b"7z" + bytes.fromhex("bcaf271c"), "x.zip"))
    is a 7z archive; unpack it with: 7z x x.zip -oimages; then give the folder to --images
    """
    for magic, what, command in _OTHERS:
        if head.startswith(magic):
            return f"is {what}; {_UNPACK.format(command=command.format(name=name))}"
    for magic, what, cure in _NOT_ARCHIVES:
        if head.startswith(magic):
            return f"is {what}; {cure}"
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith((b"<!doctype", b"<html")):
        return "is a web page, probably an error of a download; download it again"
    if text.startswith((b"{", b"[")):
        return f"is JSON; give it to --json, and {_IMAGES}"
    return None
