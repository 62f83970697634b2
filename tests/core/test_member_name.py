"""Raw names of members become paths in one way, whatever the version of Python."""

from __future__ import annotations

import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beam_mat.core.layout import unsafe
from beam_mat.core.member_name import codec_name, decode, is_hidden, member_path, spellings


def unicode_path(raw: bytes, name: str) -> bytes:
    """The content of the extra field 0x7075, as Info-ZIP writes it."""
    return struct.pack("<BL", 1, zlib.crc32(raw)) + name.encode()


NAME = "图/é.png"


@pytest.mark.parametrize(
    ("raw", "options", "name"),
    [
        (NAME.encode(), {}, NAME),
        (NAME.encode(), {"is_utf8": True}, NAME),
        (NAME.encode(), {"is_utf8": True, "encoding": "gbk"}, NAME),
        (b"caf\x82.png", {}, "café.png"),
        (b"caf\x82.png", {"is_utf8": True}, "café.png"),  # the flag lies
        ("图.png".encode("gbk"), {"encoding": "gbk"}, "图.png"),
        ("図.png".encode("shift_jis"), {"encoding": "shift_jis"}, "図.png"),
        # As unzip -O does, the encoding counts even where UTF-8 would fit.
        ("图.png".encode(), {"encoding": "cp1252"}, "å›¾.png"),
        ("图.png".encode(), {"encoding": "ascii"}, "图.png"),  # it does not fit
        (b"\xff.png", {"encoding": "gbk"}, "\u00a0.png"),  # neither it nor UTF-8 fits: cp437
        (b"x?.png", {"unicode_path": unicode_path(b"x?.png", "xé.png")}, "xé.png"),
        (b"x?.png", {"unicode_path": unicode_path(b"y?.png", "xé.png")}, "x?.png"),  # outdated
        (b"x?.png", {"unicode_path": unicode_path(b"x?.png", "")}, "x?.png"),
        (b"x?.png", {"unicode_path": b"\1\2"}, "x?.png"),
    ],
)
def test_a_name_is_decoded(raw: bytes, options: dict[str, object], name: str) -> None:
    assert decode(raw, **options) == name  # type: ignore[arg-type]


def test_a_unicode_path_that_is_not_utf8_is_no_error() -> None:
    field = struct.pack("<BL", 1, zlib.crc32(b"a")) + b"\xff\xfe"
    assert decode(b"a", unicode_path=field) == b"\xff\xfe".decode("cp437")


@pytest.mark.parametrize(
    ("raw", "path"),
    [
        (b"a/b.png", "a/b.png"),
        (b"a\\b.png", "a/b.png"),
        (b"./a/b.png", "a/b.png"),
        (b"/a/b.png", "a/b.png"),
        (b".//./a.png", "a.png"),
        (b".\\a.png", "a.png"),
        (b"../a.png", None),
        (b"/../a.png", None),
        (b"a/../b.png", None),
        (b"C:\\a.png", None),
        (b"a\0b.png", None),
        (b"folder/", None),
        (b"/" * 65535, None),
        (b"x" * 5000, None),
        (b"", None),
        (b"a/._b.png", None),
        (b"a/.DS_Store", None),
        (b"__MACOSX/a/b.png", None),
        (b"a/__MACOSX/b.png", None),
        (b"__MACOSX.png", "__MACOSX.png"),
        (b".cache/a.png", ".cache/a.png"),
    ],
)
def test_a_raw_name_becomes_a_path(raw: bytes, path: str | None) -> None:
    assert member_path(raw) == path


@given(
    st.binary(max_size=60),
    st.sampled_from(["", "gbk", "utf-16", "big5", "cp437"]),
    st.booleans(),
    st.binary(max_size=20),
)
def test_any_bytes_are_a_path_or_none(
    raw: bytes, encoding: str, is_utf8: bool, field: bytes
) -> None:
    path = member_path(raw, encoding=encoding, is_utf8=is_utf8, unicode_path=field)
    assert path is None or (unsafe(path) is None and not is_hidden(path))


@given(st.text(max_size=20))
def test_spellings_begin_with_the_path_and_lead_to_each_other(path: str) -> None:
    found = spellings(path)
    assert found[0] == path
    assert len(set(found)) == len(found) <= 3
    for one in found:
        assert set(spellings(one)) <= set(found)


def test_a_codec_that_is_none_is_refused() -> None:
    for name in ("klingon", "base64", "rot13", "", "zip"):
        with pytest.raises(ValueError, match=r"not a text encoding"):
            codec_name(name)
