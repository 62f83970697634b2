"""Image sources: every fault of a zip costs at most the members that it concerns."""

from __future__ import annotations

import random
import uuid
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from beam_mat.core.errors import SourceError
from beam_mat.core.image import ImageFault
from beam_mat.core.limits import MAX_DIRECTORY_BYTES, MAX_IMAGE_BYTES
from beam_mat.core.member import Member, Packing
from beam_mat.core.reject import Reason
from beam_mat.storage import catalog, files
from beam_mat.storage.catalog import fetch, load
from tests.build import with_entry, zip64_end, zip_of
from tests.properties import examples

TWO = {"tongagent/a.jpg": b"first" * 40, "tongagent/b.png": b"second"}


def listed(tmp_path: Path, data: bytes) -> dict[str, Member]:
    path = tmp_path / "images.zip"
    path.write_bytes(data)
    found = list(catalog.members(str(path), 3))
    assert len({member.path for member in found}) == len(found)
    for member in found:
        assert (member.source, member.order) == (str(path), 3)
        assert 0 <= member.offset <= member.end <= len(data)
    return {member.path: member for member in found}


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("form", ["plain", "comment", "prefix", "zip64", "prefix and zip64"])
def test_a_zip_of_any_form_is_listed(tmp_path: Path, method: int, form: str) -> None:
    data = zip_of(TWO, method, comment=b"It says so. " * 5000 if form == "comment" else b"")
    if "zip64" in form:
        data = zip64_end(data)
    if "prefix" in form:
        data = b"#!/bin/sh\nexit\n" * 1000 + data
    found = listed(tmp_path, data)
    assert {path: member.size for path, member in found.items()} == {
        path: len(body) for path, body in TWO.items()
    }
    packing = Packing.STORED if method == zipfile.ZIP_STORED else Packing.DEFLATED
    assert {member.packing for member in found.values()} == {packing}
    assert not any(member.fault for member in found.values())


def test_an_entry_with_zip64_sizes_is_listed(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with (
        zipfile.ZipFile(path, "w") as archive,
        archive.open("a.jpg", "w", force_zip64=True) as file,
    ):
        file.write(b"data")
    (member,) = catalog.members(str(path), 0)
    assert (member.size, member.packed, member.fault) == (4, 4, None)


def test_an_empty_zip_holds_nothing(tmp_path: Path) -> None:
    assert listed(tmp_path, zip_of({})) == {}


@pytest.mark.filterwarnings("ignore:Duplicate name:UserWarning")
def test_of_entries_with_one_name_the_last_counts(tmp_path: Path) -> None:
    found = listed(tmp_path, zip_of([("a.jpg", b"one"), ("b.jpg", b"-"), ("a.jpg", b"three")]))
    assert found["a.jpg"].size == 5
    assert sorted(found) == ["a.jpg", "b.jpg"]


UNSAFE = [
    "../a",
    "a/../../b",
    "C:/a",
    "a//b",
    "a\nb",
    "a/b::c",
    "x" * 5000,
]


def test_unsafe_names_and_folders_are_left_out(tmp_path: Path) -> None:
    data = zip_of([*((name, b"") for name in UNSAFE), ("folder/", b""), ("good.jpg", b"")])
    assert list(listed(tmp_path, data)) == ["good.jpg"]


@pytest.mark.parametrize(("name", "flags"), [("bücher/日本.jpg", 0x800), ("caf\u00e9.jpg", 0)])
def test_names_beyond_ascii_are_read_as_the_zip_says(tmp_path: Path, name: str, flags: int) -> None:
    data = zip_of({name: b"data"})
    if not flags:
        # As tools that know of no UTF-8 write it: one byte a character, code page 437.
        plain = zip_of({"cafX.jpg": b"data"}).replace(b"X", name.encode("cp437")[3:4])
        assert plain != data
        data = plain
    assert list(listed(tmp_path, data)) == [name]


def info(name: str, mode: int = 0) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name)
    entry.external_attr = mode << 16
    return entry


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"flags": 0x1}, Reason.MEMBER_UNSUPPORTED),
        ({"method": 9}, Reason.MEMBER_UNSUPPORTED),
        ({"method": 14}, Reason.MEMBER_UNSUPPORTED),
        ({"method": 93}, Reason.MEMBER_UNSUPPORTED),
        ({"outer": 0o120777 << 16}, Reason.MEMBER_UNSUPPORTED),
        ({"size": MAX_IMAGE_BYTES + 1}, Reason.IMAGE_TOO_LARGE),
        ({"size": 10 << 20}, Reason.IMAGE_TOO_LARGE),
        ({"packed": 0xFFFF0000}, Reason.IMAGE_TOO_LARGE),
        ({"offset": 0x7FFFFFFF}, Reason.MEMBER_DAMAGED),
    ],
)
def test_an_entry_that_cannot_be_used_costs_only_itself(
    tmp_path: Path, changes: dict[str, int], reason: Reason
) -> None:
    found = listed(tmp_path, with_entry(zip_of(TWO), 0, **changes))
    faults = [found[path].fault for path in TWO]
    assert faults[0] is not None
    assert faults[0].reason is reason
    assert faults[1] is None


def test_a_link_in_a_zip_is_refused(tmp_path: Path) -> None:
    found = listed(tmp_path, zip_of([(info("a.jpg", 0o120777), b"/etc/passwd")]))
    fault = found["a.jpg"].fault
    assert fault
    assert "symbolic link" in fault.detail


def test_a_name_may_be_a_file_and_a_folder(tmp_path: Path) -> None:
    found = listed(tmp_path, zip_of({"a": b"", "a/b.jpg": b"", "ab": b""}))
    assert {path: member.fault for path, member in found.items()} == dict.fromkeys(
        ("a", "a/b.jpg", "ab")
    )


WHOLE = zip_of(TWO)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"not a zip",
        WHOLE[:-1],
        WHOLE[: len(WHOLE) // 2],
        WHOLE[:-30] + WHOLE[-22:],
        b"PK\5\6" + b"\xff" * 18,
        b"\0" * 200_000,
    ],
    ids=["empty", "text", "cut by one", "cut in half", "hole", "lies", "zeros"],
)
def test_what_is_no_zip_is_an_error_that_names_it(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(SourceError, match=r"images\.zip"):
        listed(tmp_path, data)


def test_a_directory_beyond_the_limit_is_not_read(tmp_path: Path) -> None:
    at = WHOLE.rfind(b"PK\5\6") + 12
    lie = (MAX_DIRECTORY_BYTES + 1).to_bytes(4, "little")
    with pytest.raises(SourceError, match="split the zip"):
        listed(tmp_path, WHOLE[:at] + lie + WHOLE[at + 4 :])


def test_a_folder_is_listed_as_its_zip_would_be(tmp_path: Path) -> None:
    root = tmp_path / "images"
    for path, data in TWO.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(data)
    (root / "a::b").touch()
    found = list(catalog.members(str(root), 1))
    assert [(member.path, member.size) for member in found] == [
        (path, len(data)) for path, data in sorted(TWO.items())
    ]
    assert [member.offset for member in found] == [0, found[0].end]
    assert all(member.packing is Packing.FILE and member.fault is None for member in found)


def test_a_file_beyond_the_limit_is_a_fault(tmp_path: Path) -> None:
    with open(tmp_path / "a.jpg", "wb") as file:
        file.truncate(MAX_IMAGE_BYTES + 1)
    (member,) = catalog.members(str(tmp_path), 0)
    assert member.fault
    assert member.fault.reason is Reason.IMAGE_TOO_LARGE


NOISE = random.Random(1).randbytes(3000)
ENTRIES = {f"tongagent/{at}.jpg": NOISE[at * 7 : at * 90 + 20] for at in range(25)}
METHODS = [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]

Loaded = dict[str, bytes | ImageFault]


@pytest.fixture(scope="module")
def uri() -> Iterator[str]:
    folder = f"memory:///{uuid.uuid4().hex}"
    yield files.join(folder, "images.zip")
    files.remove(folder)


def loaded(uri: str, data: bytes | None = None) -> Loaded:
    if data is not None:
        files.write_bytes(uri, data, "")
    members = list(catalog.members(uri, 0))
    found = {member.path: load(member, entry) for member, entry in fetch(members)}
    assert sorted(found) == sorted(member.path for member in members)
    return found


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("form", ["plain", "comment", "prefix", "zip64"])
def test_every_member_comes_whole(uri: str, method: int, form: str) -> None:
    data = zip_of(ENTRIES, method, comment=b"words" if form == "comment" else b"")
    data = zip64_end(data) if form == "zip64" else data
    assert loaded(uri, b"prefix" * 99 + data if form == "prefix" else data) == ENTRIES


def test_a_zip_with_streamed_zip64_entries_comes_whole(tmp_path: Path) -> None:
    class Pipe:
        """What cannot be sought: sizes come after the data."""

        def __init__(self) -> None:
            self.file = open(tmp_path / "a.zip", "wb")  # noqa: SIM115

        def write(self, data: bytes) -> int:
            return self.file.write(data)

        def flush(self) -> None:
            self.file.flush()

    pipe = Pipe()
    with pipe.file, zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as archive:  # type: ignore[call-overload]
        for name, data in ENTRIES.items():
            with archive.open(name, "w", force_zip64=True) as file:
                file.write(data)
    assert loaded(str(tmp_path / "a.zip")) == ENTRIES


def test_a_folder_gives_its_files(tmp_path: Path) -> None:
    for path, data in ENTRIES.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_bytes(data)
    assert loaded(str(tmp_path)) == ENTRIES


def test_a_file_that_shrank_since_it_was_listed_is_a_source_error(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"data")
    members = list(catalog.members(str(tmp_path), 0))
    (tmp_path / "a.jpg").write_bytes(b"da")
    with pytest.raises(SourceError, match=r"a\.jpg"):
        list(fetch(members))


@pytest.mark.parametrize("method", METHODS)
def test_a_damaged_byte_costs_at_most_its_member(uri: str, method: int) -> None:
    whole = zip_of(ENTRIES, method)
    directory = whole.find(b"PK\1\2")
    chance = random.Random(7)
    damaged = 0
    for _ in range(150):
        data = bytearray(whole)
        data[chance.randrange(directory)] ^= chance.randrange(1, 256)
        found = loaded(uri, bytes(data))
        faulty = {path: result for path, result in found.items() if result != ENTRIES[path]}
        assert len(faulty) <= 1
        for result in faulty.values():
            assert isinstance(result, ImageFault)
            assert result.reason is Reason.MEMBER_DAMAGED
        damaged += len(faulty)
    assert damaged > 50


@pytest.mark.parametrize("changes", [{"size": 5}, {"size": 900_000}, {"crc": 1}, {"packed": 5}])
def test_a_directory_that_lies_costs_only_that_member(uri: str, changes: dict[str, int]) -> None:
    found = loaded(uri, with_entry(zip_of(ENTRIES), 20, **changes))
    faulty = [path for path in ENTRIES if found[path] != ENTRIES[path]]
    assert faulty == ["tongagent/20.jpg"]
    fault = found["tongagent/20.jpg"]
    assert isinstance(fault, ImageFault)
    assert fault.reason is Reason.MEMBER_DAMAGED


def test_entries_that_overlap_do_not_multiply_what_is_read(uri: str) -> None:
    data = zip_of({f"{at}.jpg": b"\0" * 1000 for at in range(20)})
    for number in range(20):
        data = with_entry(data, number, offset=0)
    found = loaded(uri, data)
    right = [path for path, result in found.items() if not isinstance(result, ImageFault)]
    assert len(right) <= 1
    assert len(found) == 20


SMALL = zip64_end(zip_of(dict(list(ENTRIES.items())[:4]), comment=b"a comment"))


@settings(max_examples=examples(700), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), zip64=st.booleans())
@pytest.mark.filterwarnings("ignore::UserWarning:zipfile")
def test_any_corruption_gives_right_bytes_faults_or_a_source_error(
    uri: str, data: st.DataObject, zip64: bool
) -> None:
    held = bytearray(SMALL if zip64 else zip_of(dict(list(ENTRIES.items())[:4])))
    directory = held.find(b"PK\1\2")
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(directory, len(held)) | st.integers(0, len(held)))
        size = data.draw(st.integers(0, 4))
        held[at : at + size] = data.draw(
            st.binary(min_size=size, max_size=size)
            | st.sampled_from([b"", b"\0" * size, b"\xff" * size, b"PK\5\6", b"PK\1\2"])
        )
    try:
        found = loaded(uri, bytes(held))
    except SourceError as error:
        assert "images.zip" in str(error)  # noqa: PT017
        return
    right = set(ENTRIES.values())
    for result in found.values():
        assert isinstance(result, ImageFault) or result in right or result == b""
