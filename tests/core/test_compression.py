"""Compressed streams: read to the end, in bounded pieces, and up to where they break off."""

from __future__ import annotations

import bz2
import gzip
import lzma
import random
import tracemalloc
from collections.abc import Callable, Iterator

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from beam_mat.core.compression import PIECE, Codec, Unpacked, codec_of
from tests.build import blocks
from tests.properties import examples

few = settings(max_examples=examples(60))


def zstd(data: bytes) -> bytes:
    return zstandard.ZstdCompressor(write_checksum=True).compress(data)


def zstd_stream(data: bytes) -> bytes:
    """A frame that does not say how long its content is, without a checksum."""
    made = zstandard.ZstdCompressor().compressobj()
    return made.compress(data) + made.flush()


PACK: dict[Codec, Callable[[bytes], bytes]] = {
    Codec.GZIP: lambda data: gzip.compress(data, mtime=0),
    Codec.BZIP2: bz2.compress,
    Codec.XZ: lzma.compress,
    Codec.ZSTD: zstd,
}
CODECS = list(Codec)
TEXT = b"".join(
    b'{"id": "%d", "x": "%s"}\n' % (n, random.Random(n).randbytes(99).hex().encode())
    for n in range(4000)
)
assert len(TEXT) > 6 * PIECE


def unpacked(codec: Codec, data: bytes, size: int = 1 << 16) -> tuple[bytes, Unpacked]:
    cut = (data[at : at + size] for at in range(0, len(data), size))
    made = Unpacked(codec, cut, len(data))
    pieces = list(made)
    assert all(0 < len(piece) <= PIECE for piece in pieces)
    assert made.done == sum(map(len, pieces))
    return b"".join(pieces), made


@few
@given(
    st.sampled_from(CODECS),
    st.lists(st.binary(max_size=300), min_size=1),
    st.lists(st.integers(1, 9)),
)
def test_members_that_follow_each_other_are_read_to_the_last(
    codec: Codec, parts: list[bytes], sizes: list[int]
) -> None:
    data = b"".join(PACK[codec](part) for part in parts)
    assert codec_of(data) is codec
    made = Unpacked(codec, blocks(data, sizes), len(data))
    assert b"".join(made) == b"".join(parts)
    assert (made.fault, made.left, made.lost) == ("", 0, 0)


@pytest.mark.parametrize("codec", CODECS)
def test_a_large_stream_is_read_in_pieces(codec: Codec) -> None:
    found, made = unpacked(codec, PACK[codec](TEXT))
    assert found == TEXT
    assert made.fault == ""


def test_zstd_of_every_kind_is_read() -> None:
    for data in (zstd_stream(TEXT), zstd(b""), zstd(b"\0" * 9_000_000), zstd_stream(b"x")):
        with zstandard.ZstdDecompressor().stream_reader(data) as reader:
            expected = reader.read()
        assert unpacked(Codec.ZSTD, data)[0] == expected
    skipped = b"\x5a\x2a\x4d\x18" + (70_000).to_bytes(4, "little") + b"x" * 70_000
    assert unpacked(Codec.ZSTD, skipped + zstd(b"[]") + skipped)[0] == b"[]"


@pytest.mark.parametrize("codec", CODECS)
def test_a_stream_that_ends_early_gives_what_came_before(codec: Codec) -> None:
    data = PACK[codec](TEXT)
    for stop in (len(data) // 3, len(data) - 1):
        found, made = unpacked(codec, data[:stop])
        assert TEXT.startswith(found)
        assert (
            made.fault
            == f"the {codec.value} stream ends early, after {len(found)} decompressed bytes"
        )
        assert (made.left, made.lost) == (0, 0)
        if codec is not Codec.BZIP2:  # which decompresses 900 kB at a time
            assert found


@pytest.mark.parametrize("codec", CODECS)
def test_a_damaged_stream_gives_what_came_before_and_counts_the_rest(codec: Codec) -> None:
    data = bytearray(PACK[codec](TEXT) * 3)
    at = len(data) // 2
    data[at : at + 64] = bytes(byte ^ 0xA5 for byte in data[at : at + 64])
    found, made = unpacked(codec, bytes(data))
    assert found.startswith(TEXT)
    assert len(found) <= 2 * len(TEXT)
    assert "is damaged" in made.fault or "checksum" in made.fault
    assert 0 < made.left < len(data)
    assert 0 < made.lost < 2 * len(TEXT)


@pytest.mark.parametrize("codec", [Codec.GZIP, Codec.ZSTD])
def test_a_wrong_checksum_is_said_to_put_every_record_in_doubt(codec: Codec) -> None:
    data = bytearray(PACK[codec](TEXT))
    data[-8 if codec is Codec.GZIP else -1] ^= 1
    found, made = unpacked(codec, bytes(data))
    assert TEXT.startswith(found)
    assert "has a wrong checksum, so any of its records may be damaged" in made.fault


@pytest.mark.parametrize("codec", CODECS)
def test_what_follows_a_stream_is_a_fault_unless_it_is_padding(codec: Codec) -> None:
    data = PACK[codec](b"[1]")
    found, made = unpacked(codec, data + b"rubbish")
    assert found == b"[1]"
    assert "is followed by something else" in made.fault
    if codec in (Codec.GZIP, Codec.XZ):
        found, made = unpacked(codec, data + b"\0" * 512)
        assert (found, made.fault) == (b"[1]", "")


def test_a_window_beyond_the_limit_is_refused_by_name() -> None:
    parameters = zstandard.ZstdCompressionParameters(window_log=28, compression_level=1)
    made = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    large = made.compress(b"x" * 1000) + made.flush()
    found, told = unpacked(Codec.ZSTD, large)
    assert found == b""
    assert "needs more than 128 MiB of memory" in told.fault
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 256 << 20}]
    found, told = unpacked(Codec.XZ, lzma.compress(b"x", filters=filters))
    assert "needs more than 128 MiB of memory" in told.fault
    assert unpacked(Codec.XZ, lzma.compress(b"x", preset=9))[1].fault == ""


@pytest.mark.parametrize("codec", CODECS)
def test_a_bomb_is_held_a_piece_at_a_time(codec: Codec) -> None:
    size = 256 << 20

    def zeros() -> Iterator[bytes]:
        for _ in range(size >> 20):
            yield b"\0" * (1 << 20)

    if codec is Codec.GZIP:
        import zlib

        packer = zlib.compressobj(9, wbits=31)
        data = b"".join(packer.compress(some) for some in zeros()) + packer.flush()
    else:
        # One block, or one member, that repeats.
        data = PACK[codec](b"\0" * (16 << 20)) * 16
    tracemalloc.start()
    try:
        assert sum(map(len, Unpacked(codec, [data], len(data)))) == size
        assert tracemalloc.get_traced_memory()[1] < 16 << 20  # xz has a window of 8 MiB
    finally:
        tracemalloc.stop()


@few
@given(st.sampled_from(CODECS), st.binary(max_size=60), st.lists(st.integers(1, 9)))
def test_any_bytes_are_no_exception(codec: Codec, data: bytes, sizes: list[int]) -> None:
    magic = PACK[codec](b"")[:6]
    for some in (data, magic + data, PACK[codec](b"[]") + data):
        made = Unpacked(codec, blocks(some, sizes), len(some))
        assert len(b"".join(made)) == made.done
        assert 0 <= made.left <= len(some)
