"""A damaged entry of a zip's directory costs itself only."""

from __future__ import annotations

import io
import struct
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beam_mat.core.zip_directory import ZipEntry, entries
from tests.build import blocks, with_entry, zip_of

NAMES = [f"folder/{at}.png" for at in range(6)] + ["图.png"]


def directory_of(data: bytes) -> bytes:
    return data[data.index(b"PK\1\2") : data.rindex(b"PK\5\6")]


WHOLE = zip_of({name: name.encode() * 20 for name in NAMES})
DIRECTORY = directory_of(WHOLE)


def names(directory: bytes) -> list[str]:
    return [entry.name.decode("utf-8", "replace") for entry in entries([directory])]


@given(st.lists(st.integers(1, 200)))
def test_entries_are_those_of_zipfile_in_blocks_of_any_size(sizes: list[int]) -> None:
    with zipfile.ZipFile(io.BytesIO(WHOLE)) as archive:
        expected = [
            (one.filename, one.CRC, one.compress_size, one.file_size, one.header_offset)
            for one in archive.infolist()
        ]
    found = entries(blocks(DIRECTORY, sizes))
    assert [
        (one.name.decode(), one.crc, one.packed, one.size, one.offset) for one in found
    ] == expected


def starts() -> list[int]:
    found, at = [], -1
    while (at := DIRECTORY.find(b"PK\1\2", at + 1)) >= 0:
        found.append(at)
    return found


@pytest.mark.parametrize("number", range(len(NAMES)))
@pytest.mark.parametrize("place", ["signature", "name length", "extra length", "comment length"])
def test_a_damaged_entry_costs_itself(number: int, place: str) -> None:
    at = starts()[number]
    offset = {"signature": 0, "name length": 28, "extra length": 30, "comment length": 32}[place]
    data = bytearray(DIRECTORY)
    data[at + offset] ^= 0x55
    data[at + offset + 1] ^= 0x02
    found = names(bytes(data))
    assert [name for name in NAMES if name not in found] in ([], [NAMES[number]])
    assert len(found) <= len(NAMES)


def test_a_directory_that_is_cut_off_gives_the_entries_before() -> None:
    assert names(DIRECTORY[:-3]) == NAMES[:-1]


def extended(extra: bytes, **changes: int) -> ZipEntry:
    info = zipfile.ZipInfo("a.png")
    info.extra = extra
    data = zip_of([(info, b"body")])
    (found,) = entries([directory_of(with_entry(data, 0, **changes))])
    return found


def field(kind: int, data: bytes) -> bytes:
    return struct.pack("<2H", kind, len(data)) + data


WIDE = 0xFFFFFFFF


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        ((5, 6, 7), (5, 6, 7)),
        (((1 << 63) - 1, 6, 7), ((1 << 63) - 1, 6, 7)),
    ],
)
def test_sizes_of_64_bits(numbers: tuple[int, ...], expected: tuple[int, ...]) -> None:
    found = extended(field(1, struct.pack("<3Q", *numbers)), size=WIDE, packed=WIDE, offset=WIDE)
    assert (found.size, found.packed, found.offset, found.problem) == (*expected, "")


def test_only_the_numbers_that_do_not_fit_have_64_bits() -> None:
    found = extended(field(1, struct.pack("<Q", 77)), offset=WIDE)
    assert (found.size, found.packed, found.offset) == (4, 6, 77)


@pytest.mark.parametrize("which", ["size", "packed", "offset"])
@pytest.mark.parametrize("number", [1 << 63, (1 << 64) - 1])
def test_a_number_that_no_column_can_have_is_a_problem(which: str, number: int) -> None:
    found = extended(field(1, struct.pack("<Q", number)), **{which: WIDE})
    assert f"the directory says {number}" in found.problem
    assert (found.size, found.packed, found.offset) == (0, 0, 0)


def test_a_short_field_for_sizes_is_a_problem() -> None:
    found = extended(field(1, b"1234567"), size=WIDE)
    assert found.problem == "its sizes in the directory are incomplete"


@pytest.mark.parametrize("extra", [b"\1", b"\1\0\xff\xff", field(0x7075, b"abc") + b"\0\0\1"])
def test_a_damaged_extra_field_is_ignored(extra: bytes) -> None:
    found = extended(extra)
    assert (found.name, found.size, found.problem) == (b"a.png", 4, "")


@given(st.binary(max_size=400), st.lists(st.integers(1, 90)))
def test_any_bytes_give_entries_with_small_numbers(data: bytes, sizes: list[int]) -> None:
    for held in (data, DIRECTORY[:60] + data, data + DIRECTORY):
        found = list(entries(blocks(held, sizes)))
        assert found == list(entries([held]))
        for entry in found:
            assert max(entry.size, entry.packed, entry.offset) < 1 << 63
