"""No reader turns a file any more, and nothing else in it changes."""

from __future__ import annotations

import io
import re
import struct
import zlib

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from beam_mat.core.orientation import without_orientation
from tests.build import opened, picture
from tests.properties import examples

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")

ORIENTATION = 0x0112
PLAIN = {
    "baseline": picture((40, 20), format="JPEG"),
    "progressive": picture((40, 20), format="JPEG", progressive=True),
    "png": picture((40, 20), format="PNG"),
}

Entry = tuple[int, int, int, bytes]


def entry(order: str, tag: int, value: int) -> Entry:
    return tag, 3, 1, struct.pack(f"{order}Hxx", value)


def tiff(order: str, *directories: list[Entry], start: int = 8, magic: int = 42) -> bytes:
    """EXIF without its header, with one directory after the other."""
    out = struct.pack(f"{order}2sHI", b"II" if order == "<" else b"MM", magic, start)
    out += bytes(start - len(out))
    for number, entries in enumerate(directories):
        out += struct.pack(f"{order}H", len(entries))
        out += b"".join(struct.pack(f"{order}HHI4s", *one) for one in entries)
        out += struct.pack(f"{order}I", len(out) + 4 if number + 1 < len(directories) else 0)
    return out


def segment(marker: int, body: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


def exif(body: bytes) -> bytes:
    return segment(0xE1, b"Exif\0\0" + body)


def xmp(text: bytes) -> bytes:
    return segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + text)


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def jpeg(*segments: bytes, name: str = "baseline") -> bytes:
    return PLAIN[name][:2] + b"".join(segments) + PLAIN[name][2:]


def png(*chunks: bytes) -> bytes:
    return PLAIN["png"][:33] + b"".join(chunks) + PLAIN["png"][33:]


orders = st.sampled_from("<>")
LEGAL = range(1, 9)


@st.composite
def upright(draw: st.DrawFn) -> bytes:
    """EXIF whose first directory states 1 or nothing. A thumbnail may state what it likes."""
    order = draw(orders)
    first = [entry(order, 0x0110 + number, number) for number in range(draw(st.integers(0, 2)))]
    if draw(st.booleans()):
        first.append(entry(order, ORIENTATION, 1))
    thumbnail = [entry(order, ORIENTATION, draw(st.sampled_from(LEGAL)))]
    directories = [first, thumbnail] if draw(st.booleans()) else [first]
    return tiff(order, *directories, start=draw(st.sampled_from([8, 10, 40])))


@st.composite
def turning(draw: st.DrawFn) -> bytes:
    order = draw(orders)
    odd = (
        st.sampled_from(
            [
                entry(order, ORIENTATION, 6),
                entry(order, ORIENTATION, 0),
                (ORIENTATION, 4, 1, struct.pack(f"{order}I", 8)),  # a long integer
                (ORIENTATION, 3, 2, struct.pack(f"{order}HH", 1, 6)),  # two values
                (ORIENTATION, 1, 1, b"\3\0\0\0"),  # a byte
            ]
        )
        | st.sampled_from(LEGAL[1:]).map(lambda value: entry(order, ORIENTATION, value))
    )
    entries = [entry(order, 0x0110, 1), *draw(st.lists(odd, min_size=1, max_size=2))]
    return tiff(order, entries, start=draw(st.sampled_from([8, 30])))


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    whole, order = draw(turning()), draw(orders)
    return draw(
        st.sampled_from(
            [
                whole[: draw(st.integers(0, 20))],
                b"Exif\0\0" + whole,
                tiff(order, [], magic=43),
                tiff(order, [])[:4] + b"\xff\xff\xff\xff",
                whole[: len(whole) - 6],
                b"",
                b"\0" * 40,
            ]
        )
    )


HARMLESS = st.sampled_from(
    [
        segment(0xE0, b"JFIF\0\1\1\0\0\1\0\1\0\0"),
        segment(0xE2, b"MPF\0" + tiff(">", [(0xB001, 4, 1, b"\0\0\0\2")])),
        segment(0xE2, b"ICC_PROFILE\0\1\1 profile"),
        segment(0xED, b"Photoshop 3.0\0"),
        segment(0xEE, b"Adobe\0\x64\0\0\0\0\1"),
        segment(0xFE, b"Exif\0\0 in a comment: Orientation 6"),
        segment(0xE1, b"something else"),
        xmp(b"<x:xmpmeta/>"),
        xmp(b'<rdf:Description tiff:Orientation="1"/>'),
        xmp(b"<tiff:Orientation>1</tiff:Orientation>"),
    ]
)
TURNING_XMP = st.sampled_from(
    [
        xmp(b'<rdf:Description tiff:Orientation="6"/>'),
        xmp(b"<tiff:Orientation>8</tiff:Orientation>"),
        xmp(b"tiff:Orientation = '3'"),
        xmp(b'tiff:Orientation="1" tiff:Orientation="6"'),
        xmp(b'tiff:Orientation="16"'),
    ]
)
stays = HARMLESS | upright().map(exif)
goes = (turning() | damaged()).map(exif) | TURNING_XMP
kinds = st.tuples(stays, st.just(True)) | st.tuples(goes, st.just(False))
fill = st.sampled_from([b"", b"\xff", b"\xff\xff"])


@settings(max_examples=examples(300))
@given(
    st.sampled_from(["baseline", "progressive"]),
    st.lists(st.tuples(kinds, fill), max_size=5),
    st.sampled_from([b"", PLAIN["baseline"], jpeg(exif(tiff("<", [entry("<", ORIENTATION, 6)])))]),
)
def test_a_jpeg_loses_what_turns_it_and_nothing_else(
    name: str, segments: list[tuple[tuple[bytes, bool], bytes]], second: bytes
) -> None:
    data = jpeg(*(padding + body for (body, _), padding in segments), name=name) + second
    kept = (padding + (body if stay else b"") for (body, stay), padding in segments)
    # The picture and what follows it, such as the second picture of a stereo camera, are there.
    expected = jpeg(*kept, name=name) + second
    found = without_orientation(data, "JPEG")
    assert found == expected
    assert (found is data) == all(stay for (_, stay), _ in segments)
    seen = opened(found)
    assert ImageOps.exif_transpose(seen).tobytes() == opened(PLAIN[name]).tobytes()


@given(st.lists(st.tuples(upright(), st.booleans()) | st.tuples(turning() | damaged(), st.none())))
def test_a_png_loses_what_turns_it_and_nothing_else(
    chunks: list[tuple[bytes, bool | None]],
) -> None:
    made = [(chunk(b"eXIf", body), stay is not None) for body, stay in chunks]
    found = without_orientation(png(*(body for body, _ in made)), "PNG")
    assert found == png(*(body for body, stay in made if stay))
    assert ImageOps.exif_transpose(opened(found)).tobytes() == opened(PLAIN["png"]).tobytes()


def text_chunks(keyword: bytes, text: bytes) -> list[bytes]:
    packed = zlib.compress(text)
    return [
        chunk(b"tEXt", keyword + b"\0" + text),
        chunk(b"zTXt", keyword + b"\0\0" + packed),
        chunk(b"iTXt", keyword + b"\0\0\0en\0\0" + text),
        chunk(b"iTXt", keyword + b"\0\1\0\0\0" + packed),
    ]


def profile(body: bytes, name: str = "exif") -> bytes:
    return f"\n{name}\n    {len(body)}\n{body.hex()}\n".encode()


UPRIGHT = tiff(">", [entry(">", ORIENTATION, 1)])
TURNED = tiff(">", [entry(">", ORIENTATION, 6)])
XMP = b"XML:com.adobe.xmp"


@pytest.mark.parametrize(
    ("keyword", "upright", "turned"),
    [
        (XMP, b'tiff:Orientation="1"', b'tiff:Orientation="6"'),
        (b"Raw profile type exif", profile(UPRIGHT), profile(TURNED)),
        (b"Raw profile type exif", profile(b"Exif\0\0" + UPRIGHT), profile(b"Exif\0\0" + TURNED)),
        (b"Raw profile type exif", profile(UPRIGHT), b"damaged"),
        (b"Raw profile type exif", profile(UPRIGHT), b"\nexif\n3\nno digits"),
        (b"Raw profile type APP1", profile(b"<xmp/>"), profile(b"Exif\0\0" + TURNED, "app1")),
    ],
)
def test_texts_of_a_png_may_turn_it(keyword: bytes, upright: bytes, turned: bytes) -> None:
    for one in (*text_chunks(keyword, upright), *text_chunks(b"Comment", turned)):
        data = png(one)
        assert without_orientation(data, "PNG") is data
    for one in text_chunks(keyword, turned):
        assert without_orientation(png(one), "PNG") == PLAIN["png"]


def test_a_text_that_does_not_inflate_goes() -> None:
    for packed in (b"not zlib", zlib.compress(bytes(2 << 20))):
        data = png(chunk(b"zTXt", XMP + b"\0\0" + packed))
        assert without_orientation(data, "PNG") == PLAIN["png"]


@settings(max_examples=examples(300))
@given(
    st.binary(max_size=200)
    | st.builds(
        lambda start, body, end: start + body + end,
        st.sampled_from([b"\xff\xd8\xff", b"\xff\xd8", PLAIN["png"][:8], PLAIN["png"][:33]]),
        st.lists(st.sampled_from([exif(TURNED), chunk(b"eXIf", TURNED), b"\xff", b"\0"])).map(
            b"".join
        )
        | st.binary(max_size=40),
        st.binary(max_size=20),
    ),
    st.sampled_from(["JPEG", "PNG"]),
)
@example(b"\xff\xd8\xff", "JPEG")
def test_any_bytes_lose_whole_pieces_at_most(data: bytes, format: str) -> None:
    found = without_orientation(data, format)
    assert len(found) <= len(data)
    assert without_orientation(found, format) is found
    if found is not data:
        assert re.search(b"exif|orientation", data, re.IGNORECASE)


def test_a_camera_picture_keeps_its_other_metadata() -> None:
    out = io.BytesIO()
    made = Image.Exif()
    made[0x010F], made[ORIENTATION] = "Maker", 1
    opened(PLAIN["baseline"]).save(out, "JPEG", exif=made)
    data = out.getvalue()
    assert without_orientation(data, "JPEG") is data
