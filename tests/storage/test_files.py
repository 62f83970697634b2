"""One contract for every file system: files are read exactly, and written whole or not at all."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from beam_mat.core.errors import SourceError
from beam_mat.storage import files
from beam_mat.storage.store import READ_BLOCK


def put(root: str, name: str, data: bytes = b"data") -> str:
    uri = files.join(root, name)
    files.write_bytes(uri, data, files.join(root, "scratch"))
    return uri


def names(root: str) -> list[str]:
    return [name for name, _ in files.find(root)]


def test_what_is_written_is_there_whole(root: str) -> None:
    data = os.urandom(3 << 20)
    uri = files.join(root, "deep", "er", "file.bin")
    with files.write(uri, files.join(root, "scratch")) as file:
        for at in range(0, len(data), 1 << 20):
            assert file.write(data[at : at + (1 << 20)]) == 1 << 20
            assert file.tell() == at + (1 << 20)
            assert not files.exists(uri), "a reader could take this for the file"
    assert file.result() == files.Written(len(data), hashlib.sha256(data).hexdigest())
    assert files.read_bytes(uri) == data
    assert files.info(uri).size == len(data)
    assert names(root) == ["deep/er/file.bin"]


def test_what_fails_leaves_nothing(root: str) -> None:
    uri = files.join(root, "file.bin")
    with pytest.raises(RuntimeError), files.write(uri, files.join(root, "scratch")) as file:  # noqa: PT012
        file.write(b"half")
        raise RuntimeError
    del file
    assert not files.exists(uri)
    assert names(root) == []


def test_what_fails_leaves_what_was_there(root: str) -> None:
    uri = put(root, "file.bin", b"before")
    with pytest.raises(KeyboardInterrupt), files.write(uri, files.join(root, "scratch")) as file:  # noqa: PT012
        file.write(b"half")
        raise KeyboardInterrupt
    assert files.read_bytes(uri) == b"before"
    assert names(root) == ["file.bin"]


def test_writing_again_replaces(root: str) -> None:
    put(root, "file.bin", b"longer than that")
    uri = put(root, "file.bin", b"new")
    assert files.read_bytes(uri) == b"new"
    assert names(root) == ["file.bin"]


def test_an_empty_file_is_a_file(root: str) -> None:
    uri = put(root, "empty", b"")
    assert files.info(uri).size == 0
    assert files.read_range(uri, 0, 0) == b""
    assert list(files.read_blocks(uri, 0, 0)) == []


@pytest.mark.parametrize("bounds", [(0, 10), (3, 7), (9, 10), (0, 0), (10, 10)])
def test_a_range_is_read_exactly(root: str, bounds: tuple[int, int]) -> None:
    uri = put(root, "file.bin", b"0123456789")
    start, end = bounds
    assert files.read_range(uri, start, end) == b"0123456789"[start:end]
    assert b"".join(files.read_blocks(uri, start, end)) == b"0123456789"[start:end]


@pytest.mark.parametrize("bounds", [(0, 11), (10, 11), (20, 30)])
def test_a_range_beyond_the_end_is_a_source_error(root: str, bounds: tuple[int, int]) -> None:
    uri = put(root, "file.bin", b"0123456789")
    with pytest.raises(SourceError, match=r"file\.bin"):
        files.read_range(uri, *bounds)
    with pytest.raises(SourceError, match=r"file\.bin"):
        list(files.read_blocks(uri, *bounds))


def test_blocks_are_bounded_and_make_up_the_file(root: str) -> None:
    data = os.urandom(2 * READ_BLOCK + 5)
    uri = put(root, "file.bin", data)
    read = list(files.read_blocks(uri, 3, len(data)))
    assert b"".join(read) == data[3:]
    assert max(map(len, read)) <= READ_BLOCK


def test_a_glob_gives_files_by_name(root: str) -> None:
    wanted = [put(root, f"s-{at}.json") for at in (10, 2, 1)]
    put(root, "other.txt")
    put(root, "s-3.json/inner")
    found = files.expand(files.join(root, "s-*.json"))
    assert [file.uri for file in found] == sorted(wanted)
    assert found == [files.info(uri) for uri in sorted(wanted)]
    assert [file.uri for file in files.expand(files.join(root, "s-[12].json"))] == sorted(wanted)[
        ::2
    ]


@pytest.mark.parametrize("name", ["none.json", "none-*.json", "folder"])
def test_a_name_that_stands_for_no_file_is_not_found(root: str, name: str) -> None:
    put(root, "folder/file")
    with pytest.raises(FileNotFoundError):
        files.expand(files.join(root, name))


def test_the_files_below_a_folder_come_by_name(root: str) -> None:
    for name in ("b/z", "a", "b/c/d", "b-"):
        put(root, name, name.encode())
    found = files.find(root)
    assert [name for name, _ in found] == ["a", "b-", "b/c/d", "b/z"]
    assert all(files.read_bytes(file.uri) == name.encode() for name, file in found)
    assert all(file.size == len(name) for name, file in found)
    assert files.find(root + "/") == found
    assert files.find(files.join(root, "none")) == []


def test_folders_and_files_are_told_apart(root: str) -> None:
    uri = put(root, "folder/file")
    folder = files.join(root, "folder")
    assert [files.is_folder(name) for name in (root, folder, folder + "/", uri)] == [True] * 3 + [
        False
    ]
    assert [files.exists(name) for name in (folder, uri, uri + "x")] == [True, True, False]
    assert not files.is_folder(uri + "x")


def test_removing_is_idempotent_and_takes_no_more_than_asked(root: str) -> None:
    uri, other = put(root, "a/file"), put(root, "ab/file")
    put(root, "a/b/c/file")
    for _ in range(2):
        files.remove(uri)
        assert names(root) == ["a/b/c/file", "ab/file"]
    for _ in range(2):
        files.remove(files.join(root, "a"))
        assert names(root) == ["ab/file"]
    assert files.exists(other)


def test_a_version_changes_with_the_content(root: str) -> None:
    uri = put(root, "file", b"one")
    before = files.info(uri)
    assert before.version
    assert files.info(uri) == before
    if uri.startswith("/"):
        os.utime(uri, (1, 1))
    else:
        put(root, "file", b"two")
    assert files.info(uri).version != before.version


def test_an_address_has_one_spelling(root: str) -> None:
    assert files.normalize(root + "/") == files.normalize(root) == root
    assert files.normalize(files.normalize(root)) == root


def test_local_addresses_are_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for spelling in ("a/b", "./a//b/", "a/x/../b", f"file://{tmp_path}/a/b"):
        assert files.normalize(spelling) == f"{tmp_path}/a/b"
    assert files.normalize(".") == str(tmp_path)


def test_links_to_files_and_folders_are_followed_and_end_somewhere(tmp_path: Path) -> None:
    put(str(tmp_path), "data/one.json", b"12345")
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "file.json").symlink_to(tmp_path / "data" / "one.json")
    (folder / "linked").symlink_to(tmp_path / "data")
    (folder / "round").symlink_to(folder)
    (folder / "broken.json").symlink_to(tmp_path / "nowhere")
    (tmp_path / "data" / "back").symlink_to(folder)
    os.mkfifo(folder / "pipe.json")
    assert [name for name, _ in files.find(str(folder), follow=True)] == [
        "file.json",
        "linked/one.json",
    ]
    assert {file.size for _, file in files.find(str(folder), follow=True)} == {5}
    (found,) = files.expand(f"{folder}/*.json")
    assert found == files.info(str(folder / "file.json"))
    assert found.size == 5


def test_removing_a_link_leaves_what_it_leads_to(tmp_path: Path) -> None:
    put(str(tmp_path), "data/file")
    for name in ("folder", "broken"):
        (tmp_path / name).symlink_to(tmp_path / ("data" if name == "folder" else "nowhere"))
        files.remove(str(tmp_path / name))
    assert names(str(tmp_path)) == ["data/file"]


def test_entries_are_what_lies_in_a_folder_itself(tmp_path: Path) -> None:
    (tmp_path / "b" / "deep").mkdir(parents=True)
    (tmp_path / "b" / "deep" / "x").write_bytes(b"x")
    (tmp_path / ".a").write_bytes(b"12")
    (tmp_path / "c").symlink_to(tmp_path / "b")
    (tmp_path / "d").symlink_to(tmp_path / "nowhere")
    found = {name: info and info.size for name, info in files.entries(str(tmp_path))}
    assert found == {".a": 2, "b": None, "c": None, "d": 0}


def test_entries_of_any_store(root: str) -> None:
    for name in ("a.json", "sub/b.json", "sub/deep/c.json", "subway/d.json"):
        put(root, name, b"123")
    found = {name: info and info.size for name, info in files.entries(f"{root}/sub")}
    assert found == {"b.json": 3, "deep": None}
