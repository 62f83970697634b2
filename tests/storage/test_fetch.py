"""Bytes of image files: the right ones or a fault, and no fault spreads to its neighbours."""

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
from beam_mat.core.reject import Reason
from beam_mat.storage import catalog, files
from beam_mat.storage.fetch import fetch, load
from tests.build import with_entry, zip64_end, zip_of

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


@settings(
    max_examples=700, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
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
