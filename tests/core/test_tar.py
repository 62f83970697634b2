"""The members of a tar, as tarfile finds them; damage costs its own members."""

from __future__ import annotations

import io
import random
import tarfile
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beam_mat.core import tar
from beam_mat.core.tar import BrokenTarError, TarEntry

LONG = "very/" * 60 + "long.png"
BODIES = {
    "a.png": b"first" * 300,
    "d/b.png": b"",
    LONG: b"long",
    "图/é.png": b"x" * 512,
    "e" * 98 + ".p": b"z",
    "p" * 90 + "/" + "q" * 60: b"y",
}
FORMATS = {"pax": tarfile.PAX_FORMAT, "gnu": tarfile.GNU_FORMAT, "ustar": tarfile.USTAR_FORMAT}


def tar_of(
    *members: tarfile.TarInfo | tuple[str, bytes], format: str = "pax", **more: object
) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=FORMATS[format], **more) as archive:  # type: ignore[call-overload]
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                archive.addfile(member)
            else:
                info = tarfile.TarInfo(member[0])
                info.size = len(member[1])
                archive.addfile(info, io.BytesIO(member[1]))
    return out.getvalue()


def special(name: str, type: bytes, **values: object) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type = type
    for key, value in values.items():
        setattr(info, key, value)
    return info


def listed(data: bytes) -> list[TarEntry]:
    def read(start: int, end: int) -> bytes:
        assert 0 <= start <= end <= len(data)
        assert end - start <= 1 << 20
        return data[start:end]

    return list(tar.entries(read, len(data)))


def bodies(data: bytes) -> dict[str, bytes]:
    return {
        entry.name.decode(): data[entry.offset : entry.offset + entry.size]
        for entry in listed(data)
        if not entry.problem
    }


def problems(data: bytes) -> dict[str, str]:
    return {entry.name.decode(): entry.problem for entry in listed(data) if entry.problem}


@pytest.mark.parametrize("format", ["pax", "gnu"])
def test_members_of_both_formats(format: str) -> None:
    data = tar_of(*BODIES.items(), special("folder", tarfile.DIRTYPE), format=format)
    assert tar.begins(data)
    assert bodies(data) == BODIES
    assert {entry.is_utf8 for entry in listed(data)} <= {True, False}


def test_members_of_the_oldest_posix_format() -> None:
    names = [name for name in BODIES if name != LONG]
    data = tar_of(*((name, BODIES[name]) for name in names), format="ustar")
    assert bodies(data) == {name: BODIES[name] for name in names}


def test_a_tar_from_before_posix_has_no_sign() -> None:
    block = bytearray(tar_of(("old.png", b"body"), format="ustar"))
    block[257:265] = b"\0" * 8
    block[156] = 0
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block[:512])
    assert tar.begins(bytes(block))
    assert bodies(bytes(block)) == {"old.png": b"body"}


def test_tars_that_follow_each_other_count_all() -> None:
    data = tar_of(("a", b"1")) + tar_of(("b", b"2"))
    assert bodies(data) == {"a": b"1", "b": b"2"}
    assert bodies(data + b"garbage" * 1000) == {"a": b"1", "b": b"2"}


def test_what_is_no_file_has_a_problem_of_its_own() -> None:
    data = tar_of(
        ("a", b"1"),
        special("hard", tarfile.LNKTYPE, linkname="a"),
        special("soft", tarfile.SYMTYPE, linkname="/etc/passwd"),
        special("device", tarfile.CHRTYPE),
        special("pipe", tarfile.FIFOTYPE),
        special("folder", tarfile.DIRTYPE),
        ("b", b"2"),
    )
    assert bodies(data) == {"a": b"1", "b": b"2"}
    assert {name: said.split(";")[0] for name, said in problems(data).items()} == {
        "hard": "the member is a hard link",
        "soft": "the member is a symbolic link",
        "device": "the member is a device",
        "pipe": "the member is a pipe",
    }
    assert not any(entry.damaged for entry in listed(data))


def test_sparse_files_are_not_taken_for_their_map() -> None:
    sparse = special("s", tarfile.REGTYPE)
    sparse.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "r"}
    data = tar_of(sparse, ("b", b"2"))
    assert list(problems(data)) == ["r"]
    assert bodies(data) == {"b": b"2"}


def test_a_damaged_header_costs_its_member() -> None:
    data = bytearray(tar_of(("a", b"1"), ("b", b"2" * 2000), ("c", b"3"), format="ustar"))
    data[1024 + 136] ^= 1  # in the time of b
    assert bodies(bytes(data)) == {"a": b"1", "c": b"3"}
    assert problems(bytes(data)) == {"b": "its header is damaged"}


@pytest.mark.parametrize("size", [b"77777777777\0", b"\x80" + b"\xff" * 11, b"\xff" * 12, b"12x\0"])
def test_a_size_that_cannot_be_right_costs_its_member(size: bytes) -> None:
    data = bytearray(tar_of(("a", b"1"), ("b", b"2"), ("c", b"3"), format="ustar"))
    block = data[1024:1536]
    block[124 : 124 + len(size)] = size
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    data[1024:1536] = block
    assert bodies(bytes(data)) == {"a": b"1", "c": b"3"}
    assert problems(bytes(data)) == {"b": "its size in the tar cannot be right"}


@pytest.mark.parametrize("format", ["pax", "gnu"])
def test_a_tar_that_is_cut_off_is_an_error(format: str) -> None:
    data = tar_of(("a", b"1"), ("图", b"2" * 3000), format=format)
    body = data.index(b"2" * 3000)
    for end in (body + 100, body + 2999):
        with pytest.raises(BrokenTarError, match="cut off"):
            listed(data[:end])


def test_an_extended_header_may_have_any_size() -> None:
    long = special("x", tarfile.REGTYPE)
    long.pax_headers = {"comment": "c" * (2 << 20)}
    data = tar_of(("a", b"1"), long, ("b", b"2"))
    assert bodies(data) == {"a": b"1", "b": b"2"}
    assert list(problems(data)) == ["x"]


def test_a_global_header_counts_for_all_members() -> None:
    data = tar_of(("a", b"1"), ("b", b"2"), pax_headers={"comment": "made by git"})
    assert bodies(data) == {"a": b"1", "b": b"2"}


@pytest.mark.parametrize(
    "fields", [b"99 path=x\n", b"x path=y\n", b"9 path=ab", b"0 =\n", b"7 a=\n"]
)
def test_a_damaged_pax_header_costs_its_member(fields: bytes) -> None:
    whole = tar_of(("é" * 10, b"1"), ("b", b"2"))
    at = whole.index(b"path=") - 3
    data = bytearray(whole)
    data[at : at + 30] = fields.ljust(30, b"q")
    assert bodies(bytes(data)) == {"b": b"2"}
    assert list(problems(bytes(data)).values()) == ["its extended header is damaged"]


WHOLE = tar_of(*BODIES.items(), special("folder", tarfile.DIRTYPE))


@given(st.data())
def test_any_change_gives_members_or_a_broken_tar(data: st.DataObject) -> None:
    held = bytearray(WHOLE)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(held)))
        size = data.draw(st.integers(0, 30))
        held[at : at + size] = data.draw(st.binary(max_size=30))
    held = held[: data.draw(st.integers(0, len(held)) | st.just(len(held)))]
    try:
        found = listed(bytes(held))
    except BrokenTarError:
        return
    for entry in found:
        assert 0 <= entry.offset <= entry.offset + entry.size <= len(held)


def test_hostile_tars_take_linear_time() -> None:
    reads = 0

    def reader(data: bytes) -> Callable[[int, int], bytes]:
        def read(start: int, end: int) -> bytes:
            nonlocal reads
            reads += end - start
            return data[start:end]

        return read

    chance = random.Random(1)
    damaged = bytearray(tar_of(*((f"{at}", b"") for at in range(2000)), format="ustar"))
    for at in range(0, 2000 * 512, 1024):
        damaged[at + 136] ^= 1
    noise = tar_of(("a", b"")) + chance.randbytes(1 << 20)
    for data in (bytes(damaged), noise):
        reads = 0
        list(tar.entries(reader(data), len(data)))
        assert reads <= 6 * len(data)
