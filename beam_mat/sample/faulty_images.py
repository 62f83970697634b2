"""Images that cannot be read, one or more for every reason, and the sound records that use them."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable, Iterator

from PIL import Image

from beam_mat.core.reject import Reason
from beam_mat.sample.archive import SampleZip, Spoil
from beam_mat.sample.faults import FIRST_NUMBER, Faulty
from beam_mat.sample.pictures import LLAVA, MAX_PICTURES, Picture, picture
from beam_mat.sample.records import element, picture_record


def faulty_images(seed: int) -> Iterator[Faulty]:
    """Elements that are sound, but whose image is not."""
    number = FIRST_NUMBER + 1000
    for place, (reason, users, ending, _) in enumerate(_SPOILED_IMAGES):
        shown = _shown(seed, place, ending)
        for _ in range(users):
            number += 1
            yield Faulty(reason, [element(picture_record(seed, number, shown))])


def add_faulty_members(seed: int, archive: SampleZip) -> None:
    """Write the images that `faulty_images` names."""
    for place, (_, _, ending, write) in enumerate(_SPOILED_IMAGES):
        write(archive, _shown(seed, place, ending))


def _shown(seed: int, place: int, ending: str) -> Picture:
    """A picture outside the sound ones, with the file name's ending that its fault needs."""
    plain = picture(seed, MAX_PICTURES + place, LLAVA)
    path = plain.path.removesuffix(".jpg") + ending
    return Picture(path, plain.size, plain.mode, plain.subject, plain.detail)


def _huge_png(side: int = 9000) -> bytes:
    """A white square of one bit a pixel: 81 megapixels in some ten kilobytes."""
    packer = zlib.compressobj(9)
    row = b"\x00" + b"\xff" * (side // 8)
    packed = b"".join(packer.compress(row) for _ in range(side)) + packer.flush()
    header = struct.pack(">LLBBBBB", side, side, 1, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", packed), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">L", len(body)) + kind + body + struct.pack(">L", zlib.crc32(kind + body))
        for kind, body in chunks
    )


def _flat_bitmap() -> bytes:
    """One colour, not packed: the zip packs it a thousand to one."""
    out = io.BytesIO()
    Image.new("RGB", (1024, 768), (70, 120, 180)).save(out, "BMP")
    return out.getvalue()


def _absent(archive: SampleZip, shown: Picture) -> None:
    """Nothing is written."""


def _body(body: Callable[[Picture], bytes]) -> Callable[[SampleZip, Picture], None]:
    def write(archive: SampleZip, shown: Picture) -> None:
        archive.add(shown.member, body(shown))

    return write


def _spoiled(spoil: Spoil) -> Callable[[SampleZip, Picture], None]:
    def write(archive: SampleZip, shown: Picture) -> None:
        spoil(archive, archive.add(shown.member, shown.encoded()))

    return write


def _half(shown: Picture) -> bytes:
    whole = shown.encoded()
    return whole[: len(whole) // 2]


_SPOILED_IMAGES: tuple[tuple[Reason, int, str, Callable[[SampleZip, Picture], None]], ...] = (
    # reason, records that use it, ending of its name, what is written to the zip
    (Reason.IMAGE_MISSING, 1, ".jpg", _absent),
    (Reason.IMAGE_UNDECODABLE, 1, ".jpg", _body(lambda _: b"404: there is no such picture\n")),
    (Reason.IMAGE_TRUNCATED, 2, ".jpg", _body(_half)),
    (Reason.IMAGE_TOO_LARGE, 1, ".png", _body(lambda _: _huge_png())),
    (Reason.IMAGE_TOO_LARGE, 1, ".bmp", _body(lambda _: _flat_bitmap())),
    (
        Reason.MEMBER_UNSUPPORTED,
        1,
        ".jpg",
        lambda archive, shown: archive.add_link(shown.member, "/etc/hostname"),
    ),
    (Reason.MEMBER_UNSUPPORTED, 1, ".jpg", _spoiled(SampleZip.encrypt)),
    (Reason.MEMBER_UNSUPPORTED, 1, ".jpg", _spoiled(SampleZip.mispack)),
    (Reason.MEMBER_DAMAGED, 1, ".jpg", _spoiled(SampleZip.flip)),
    (Reason.MEMBER_DAMAGED, 1, ".jpg", _spoiled(SampleZip.missum)),
)
