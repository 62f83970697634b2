"""Members: judged by what the directory claims, unpacked within it, read in bounded ranges."""

from __future__ import annotations

import tracemalloc
import zlib
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beam_mat.core import member as core_member
from beam_mat.core.image import ImageFault
from beam_mat.core.limits import MAX_COMPRESSION_RATIO, MAX_IMAGE_BYTES, RATIO_FREE_BYTES
from beam_mat.core.member import (
    LOCAL_HEADER,
    LOCAL_SIGNATURE,
    MAX_READ,
    MAX_WASTE,
    Member,
    Packing,
    coalesce,
    entry_fault,
    unpack,
)
from beam_mat.core.reject import Reason
from tests.properties import examples

DATA = b"An image, or so. " * 20


def entry(data: bytes = DATA, packing: Packing = Packing.DEFLATED, **header: Any) -> bytes:
    """A local header and what follows it."""
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    packed = packer.compress(data) + packer.flush() if packing is Packing.DEFLATED else data
    fields = {"name": 4, "extra": 0, **header}
    first = LOCAL_HEADER.pack(LOCAL_SIGNATURE, 20, 0, 0, 8, 0, 0, 0, 0, 0, *fields.values())
    return first + b"name" + packed


def member(held: bytes, data: bytes = DATA, **changes: Any) -> Member:
    fields = {
        "path": "name",
        "source": "a.zip",
        "order": 0,
        "offset": 0,
        "end": len(held),
        "size": len(data),
        "packed": len(held) - LOCAL_HEADER.size - 4,
        "packing": Packing.DEFLATED,
        "crc": zlib.crc32(data),
        **changes,
    }
    return Member(**fields)


def damaged(found: bytes | ImageFault) -> str:
    assert isinstance(found, ImageFault)
    assert found.reason is Reason.MEMBER_DAMAGED
    return found.detail


@pytest.mark.parametrize("packing", [Packing.STORED, Packing.DEFLATED])
@pytest.mark.parametrize("data", [DATA, b"", b"\0" * 100_000])
def test_an_intact_entry_gives_its_bytes(packing: Packing, data: bytes) -> None:
    held = entry(data, packing)
    assert unpack(member(held, data, packing=packing), memoryview(held)) == data


def test_a_file_of_a_folder_is_taken_as_it_is() -> None:
    assert unpack(member(b"", packing=Packing.FILE, crc=None), memoryview(DATA)) == DATA


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"crc": 1}, "CRC-32"),
        ({"size": len(DATA) - 1}, "CRC-32"),
        ({"size": len(DATA) + 1}, "decompresses to"),
        ({"size": 0, "crc": 0}, "decompresses to"),
        ({"packed": 3}, "decompresses to"),
        ({"packed": 1 << 40}, "before the next entry"),
        ({"packing": Packing.STORED}, "decompresses to"),
    ],
)
def test_a_directory_that_lies_is_found_out(changes: dict[str, Any], words: str) -> None:
    held = entry()
    assert words in damaged(unpack(member(held, **changes), memoryview(held)))


@pytest.mark.parametrize("header", [{"extra": 7}, {"name": 0}, {"name": 0xFFFF, "extra": 0xFFFF}])
def test_a_local_header_that_lies_is_found_out(header: dict[str, Any]) -> None:
    held = entry(**header)
    damaged(unpack(member(held), memoryview(held)))


@settings(max_examples=examples(300))
@given(st.sampled_from([Packing.STORED, Packing.DEFLATED]), st.data())
def test_any_bytes_are_the_right_ones_or_a_fault(packing: Packing, data: st.DataObject) -> None:
    held = bytearray(entry(packing=packing))
    at = data.draw(st.integers(0, len(held) - 1))
    held[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=4))
    found = unpack(member(entry(packing=packing), packing=packing), memoryview(bytes(held)))
    assert found == DATA or damaged(found)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(core_member, "zlib_ng", None)
        assert unpack(member(entry(packing=packing), packing=packing), memoryview(held)) == found


def test_a_bomb_unpacks_no_further_than_the_directory_says() -> None:
    held = entry(bytes(200 << 20))
    tracemalloc.start()
    damaged(unpack(member(held, size=1 << 20), memoryview(held)))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 << 20


GOOD = {"flags": 0, "mode": 0o100644, "method": 8, "size": 1000, "packed": 900}


@pytest.mark.parametrize(
    ("claim", "reason"),
    [
        ({}, None),
        ({"flags": 0x808}, None),
        ({"mode": 0}, None),
        ({"size": RATIO_FREE_BYTES, "packed": 1}, None),
        ({"size": 4 << 20, "packed": (4 << 20) // MAX_COMPRESSION_RATIO + 1}, None),
        ({"size": MAX_IMAGE_BYTES, "packed": MAX_IMAGE_BYTES + 5000}, None),
        ({"flags": 0x1}, Reason.MEMBER_UNSUPPORTED),
        ({"mode": 0o120777}, Reason.MEMBER_UNSUPPORTED),
        ({"packing": Packing.UNSUPPORTED, "method": 93}, Reason.MEMBER_UNSUPPORTED),
        ({"size": MAX_IMAGE_BYTES + 1, "packed": MAX_IMAGE_BYTES}, Reason.IMAGE_TOO_LARGE),
        ({"size": 4 << 20, "packed": 20_000}, Reason.IMAGE_TOO_LARGE),
        ({"size": 4 << 20, "packed": 0}, Reason.IMAGE_TOO_LARGE),
        # A small image in an entry of many gigabytes: it would be read before it is unpacked.
        ({"size": 1000, "packed": 20 << 30}, Reason.IMAGE_TOO_LARGE),
    ],
)
def test_what_a_directory_claims_is_judged_before_a_byte_is_read(
    claim: dict[str, Any], reason: Reason | None
) -> None:
    fault = entry_fault(**{"packing": Packing.DEFLATED, **GOOD, **claim})
    assert (fault and fault.reason) == reason


ENTRIES = st.lists(
    st.tuples(
        st.sampled_from(["a.zip", "b.zip"]),
        st.integers(0, MAX_READ * 2),
        st.integers(0, MAX_READ) | st.integers(0, MAX_READ // 20),
        st.sampled_from([Packing.STORED, Packing.STORED, Packing.FILE]),
    ),
    max_size=20,
)


@settings(max_examples=examples(200))
@given(ENTRIES)
def test_runs_hold_each_member_once_and_are_worth_one_bounded_read(
    entries: list[tuple[str, int, int, Packing]],
) -> None:
    members = [
        member(b"", path=str(number), source=source, offset=at, end=at + size, packing=packing)
        for number, (source, at, size, packing) in enumerate(entries)
    ]
    runs = list(coalesce(members))
    together = [item for run in runs for item in run]
    assert sorted(item.path for item in together) == sorted(item.path for item in members)
    assert together == sorted(members, key=lambda item: (item.source, item.offset))
    for run in runs:
        assert len({item.source for item in run}) == 1
        assert len(run) == 1 or all(item.packing is not Packing.FILE for item in run[1:])
        if len(run) > 1:
            assert max(item.end for item in run) - run[0].offset <= MAX_READ
        covered = sum(
            max(0, item.end - max(item.offset, *(before.end for before in run[:at]), 0))
            for at, item in enumerate(run)
        )
        span = max(item.end for item in run) - run[0].offset
        assert span - covered <= covered / MAX_WASTE


def test_neighbours_are_read_together() -> None:
    members = [
        member(b"", path=str(at), offset=at * 1000, end=at * 1000 + 990)
        for at in reversed(range(50))
    ]
    assert len(list(coalesce(members))) == 1


def test_what_nobody_wants_is_not_read_for_its_neighbours() -> None:
    members = [member(b"", path=str(at), offset=at * 1000, end=at * 1000 + 900) for at in range(9)]
    assert len(list(coalesce(members))) == 9


def test_an_origin_tells_apart_what_gives_other_bytes() -> None:
    zipped = Member("a.jpg", "f.zip", 0, 10, 90, 70, 70, Packing.STORED, crc=1)
    file = Member("a.jpg", "f/a.jpg", 0, 10, 90, 70, 70, Packing.FILE, version="v")
    origins = [
        zipped.origin("1", "d"),
        zipped.origin("2", "d"),  # the zip was packed again
        zipped.origin("1", "e"),  # other settings
        *(
            msgspec.structs.replace(zipped, **change).origin("1", "d")
            for change in ({"source": "g.zip"}, {"offset": 11}, {"size": 71}, {"crc": 2})
        ),
        file.origin("1", "d"),
        msgspec.structs.replace(file, version="w").origin("1", "d"),
    ]
    assert len(set(origins)) == len(origins)
    # Its place among the sources, and of a file among others, decides nothing.
    assert msgspec.structs.replace(zipped, order=3, batch=5).origin("1", "d") == origins[0]
    moved = msgspec.structs.replace(file, offset=500, end=570, order=1)
    assert moved.origin("9", "d") == file.origin("1", "d")
