"""One contract for every store: each method of `beam_mat.storage.store.Store`, on each backend."""

from __future__ import annotations

import hashlib
import inspect
import os
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from beam_mat.core.errors import SourceError
from beam_mat.storage import files
from beam_mat.storage.remote_store import CREATE_BYTES
from beam_mat.storage.store import CHANGES, READ_BLOCK, FileInfo, Store, Written
from beam_mat.storage.stores import locate

ODD = {
    "a.json": ["a[1].json", "a*.json", "a?.json", "[a].json", "a!.json", "{a,b}.json", "**"],
    "b.png": """b.png?versionId= b.png?versionId=null b.png?a=b&versionId=1 b.png?versionId b.png@2
        b.png?generation= b.png?generation=12 b.png#12 b.png# b.png?a=b#12 b.png&x=1 b.png;v=1 b+png
        b=png b%2Epng % %00 b.png%3FversionId=1""".split(),
    "c": [
        *"a::b.json x::y zip::c a:b s3: c:80 ~c '\"c,d c. ... -c $c `c` c|d <c> \\c".split(),
        " c ",
    ],
    "d": ["ü 日本.json", "u\u0308", "c\u202ed"],
}
"""Names that a driver, a glob, a URL or a shell could read as something else; and names like them
that must not be touched."""

SIZES = [10, CREATE_BYTES + 1]
"""On both sides of the size from which a remote store looks before it sends."""


class Folder:
    """A folder on a store, and short words for its methods."""

    def __init__(self, root: str) -> None:
        self.store, self.root = locate(root)
        self.scratch = f"{self.root}/scratch"

    def __call__(self, name: str) -> str:
        return f"{self.root}/{name}"

    def put(self, name: str, data: bytes = b"data") -> str:
        with self.store.staged(self(name), self.scratch) as staged:
            staged.write(memoryview(data))
            self.store.place(staged, self(name))
        return self(name)

    def put_new(self, name: str, data: bytes) -> str:
        with self.store.staged(self(name), self.scratch) as staged:
            staged.write(memoryview(data))
            written = Written(len(data), hashlib.sha256(data).hexdigest())
            self.store.place_new(staged, self(name), written)
        return self(name)

    def names(self) -> list[str]:
        found = self.store.find(self.root, follow=False)
        return sorted(file.uri.removeprefix(self.store.uri(self.root) + "/") for file in found)


@pytest.fixture
def at(root: str) -> Folder:
    return Folder(root)


def test_it_is_a_whole_store(at: Folder) -> None:
    wanted = {name for name, value in vars(Store).items() if inspect.isfunction(value)}
    default = {"holds", "link_in", "protect", "write_new"}
    assert set(CHANGES) <= wanted
    for name in wanted - default:
        assert name.startswith("_") or getattr(type(at.store), name) is not getattr(Store, name)
    assert not at.store.read_only


def test_a_path_and_a_uri_name_the_same_file(at: Folder, root: str) -> None:
    path = at("a/b")
    assert locate(at.store.uri(path)) == (at.store, path)
    assert at.store.path_of(at.store.uri(path)) == path
    assert at.store.normalize(path) == f"{root}/a/b"
    assert at.store.joined(at.root, "a/b") == path


def test_it_tells_files_folders_and_nothing_apart(at: Folder) -> None:
    path = at.put("folder/file")
    names = (path, at("folder"), at("none"))
    assert [at.store.exists(name) for name in names] == [True, True, False]
    assert [at.store.is_folder(name) for name in names] == [False, True, False]
    assert [bool(at.store.file_at(name)) for name in names] == [True, False, False]
    found = at.store.info(path)
    assert (found.uri, found.size) == (at.store.uri(path), 4)
    assert found.version
    assert found == at.store.file_at(path)
    with pytest.raises(FileNotFoundError):
        at.store.info(at("none"))


def test_it_finds_files(at: Folder) -> None:
    for name in ("a.json", "b.txt", "deep/c.json", "deeper"):
        at.put(name, name.encode())
    assert at.names() == ["a.json", "b.txt", "deep/c.json", "deeper"]
    assert at.store.find(at("none"), follow=True) == []
    assert at.store.glob(at("*.json")) == [at.store.info(at("a.json"))]
    assert at.store.glob(at("none*")) == []
    listed = dict(at.store.entries(at.root))
    listed.pop("scratch", None)
    assert {name: info and info.size for name, info in listed.items()} == {
        "a.json": 6,
        "b.txt": 5,
        "deeper": 6,
        "deep": None,
    }
    assert at.store.link_in(at("deep/c.json"), at.root) is None


def test_it_reads_exactly(at: Folder) -> None:
    data = os.urandom(READ_BLOCK + 100)
    path = at.put("file", data)
    assert at.store.read_bytes(path) == data
    assert at.store.read_bytes(path, lambda _, found: found == data) == data
    assert at.store.read_range(path, 5, 50) == data[5:50]
    assert at.store.read_range(path, 5, 5) == b""
    blocks = list(at.store.read_blocks(path, 5, len(data)))
    assert b"".join(blocks) == data[5:]
    assert max(map(len, blocks)) <= READ_BLOCK
    with at.store.open_binary(path) as file:
        file.seek(7)
        assert (file.read(3), file.tell()) == (data[7:10], 10)
    with pytest.raises(SourceError, match="file: "):
        at.store.read_range(path, 5, len(data) + 1)
    with pytest.raises(SourceError, match="file: "):
        list(at.store.read_blocks(path, 5, len(data) + 1))
    with pytest.raises(FileNotFoundError):
        at.store.read_bytes(at("none"))


def test_the_functions_of_files_read_in_order(root: str) -> None:
    uri, data = files.join(root, "file"), bytes(range(40))
    files.write_bytes(uri, data, files.join(root, "scratch"))
    assert b"".join(files.read_ranges((uri, byte, byte + 1) for byte in data)) == data


def test_a_file_appears_whole_or_not_at_all(at: Folder) -> None:
    with at.store.staged(at("file"), at.scratch) as staged:
        staged.write(memoryview(b"half"))
        assert not at.store.exists(at("file"))
    with pytest.raises(RuntimeError), at.store.staged(at("file"), at.scratch) as staged:  # noqa: PT012
        staged.write(memoryview(b"half"))
        raise RuntimeError
    assert at.names() == []
    at.put("file", b"one")
    at.put("file", b"two")
    assert at.store.read_bytes(at("file")) == b"two"
    assert at.names() == ["file"]


@pytest.mark.parametrize("size", SIZES)
def test_a_file_with_the_same_bytes_stays(at: Folder, size: int) -> None:
    data = os.urandom(size)
    before = at.store.info(at.put_new("a/file", data))
    assert at.store.info(at.put_new("a/file", data)) == before
    assert at.names() == ["a/file"]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("damage", ["torn", "other", "longer", "empty"])
def test_a_damaged_file_is_replaced(at: Folder, size: int, damage: str) -> None:
    data = os.urandom(size)
    spoiled = {"torn": data[:-1], "other": b"x" * size, "longer": data + b"x", "empty": b""}
    at.put("file", spoiled[damage])
    at.put_new("file", data)
    assert at.store.read_bytes(at("file")) == data
    assert at.names() == ["file"]


@pytest.mark.parametrize("size", SIZES)
def test_writers_of_the_same_bytes_may_race(at: Folder, root: str, size: int) -> None:
    data = os.urandom(size)
    start = threading.Barrier(8)

    def write(_: int) -> bytes:
        folder = Folder(root)
        start.wait()
        folder.put_new("file", data)
        return folder.store.read_bytes(folder("file"))

    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(write, range(8))) == [data] * 8
    assert at.names() == ["file"]


def test_a_file_is_created_once(at: Folder) -> None:
    assert [at.store.create(at("deep/file"), data) for data in (b"1", b"2")] == [True, False]
    assert at.store.read_bytes(at("deep/file")) == b"1"
    assert at.names() == ["deep/file"]


def test_a_file_is_moved(at: Folder) -> None:
    at.put("one", b"1")
    for _ in range(2):
        at.store.move(at("one"), at("deep/two"))
    assert at.names() == ["deep/two"]
    assert at.store.read_bytes(at("deep/two")) == b"1"
    with pytest.raises(FileNotFoundError):
        at.store.move(at("one"), at("three"))


def test_files_and_folders_are_removed(at: Folder) -> None:
    for name in ("a/b/c", "a/d", "a[1]/e", "a1/f", "ab", "g"):
        at.put(name)
    for _ in range(2):
        at.store.remove_file(at("g"))
        at.store.remove_file(at("a"))
        assert at.names() == ["a/b/c", "a/d", "a1/f", "a[1]/e", "ab"]
        at.store.remove_file(at("none"))
    for _ in range(2):
        at.store.remove(at("a[1]"))
        assert at.names() == ["a/b/c", "a/d", "a1/f", "ab"]
    for _ in range(2):
        at.store.remove(at("a"))
        assert at.names() == ["a1/f", "ab"]
    at.store.remove(at("ab"))
    assert at.names() == ["a1/f"]


@pytest.mark.parametrize("plain", ODD)
def test_no_character_of_a_name_means_anything(at: Folder, plain: str) -> None:
    here = f"{at.root}/d"
    at.put(f"d/{plain}", b"plain")
    for name in ODD[plain]:
        path, data, uri = f"{here}/{name}", name.encode(), at.store.uri(f"{here}/{name}")
        assert locate(uri) == (at.store, path)
        assert not at.store.exists(path)
        assert at.store.create(path, data)
        assert not at.store.create(path, b"other")
        at.put_new(f"d/{name}", data)
        at.put(f"d/{name}", b"")
        assert at.store.info(path).size == 0
        at.put_new(f"d/{name}", data)
        with files.Outbox() as outbox:
            sha256 = hashlib.sha256(data).hexdigest()
            outbox.write_bytes_new(uri, data, sha256, at.store.uri(at.scratch))
        assert at.store.read_bytes(path) == at.store.read_bytes(path, lambda *_: True) == data
        assert at.store.read_range(path, 0, 1) == data[:1]
        assert b"".join(at.store.read_blocks(path, 0, len(data))) == data
        found = at.store.info(path)
        assert (found.uri, found.size) == (uri, len(data))
        assert at.store.file_at(path) == found
        assert files.expand(uri) == [found]
        assert not at.store.is_folder(path)
        assert dict(at.store.entries(here)).keys() == {name, plain}
        assert at.names() == sorted([f"d/{name}", f"d/{plain}"])
        at.put(f"{name}/in it/{name}", data)
        assert at.store.is_folder(at(name))
        inside = at.store.find(at(name), follow=False)
        assert [file.uri for file in inside] == [f"{at.store.uri(at(name))}/in it/{name}"]
        assert at.store.read_bytes(at(f"{name}/in it/{name}")) == data
        at.store.remove(at(name))
        at.store.move(path, at(f"e/{name}"))
        assert at.names() == [f"d/{plain}", f"e/{name}"]
        at.store.move(at(f"e/{name}"), path)
        at.store.remove_file(path)
        assert at.names() == [f"d/{plain}"]
        at.store.remove(path)
        assert at.store.read_bytes(f"{here}/{plain}") == b"plain"


def test_empty_folders_are_removed_and_no_file(at: Folder) -> None:
    for name in ("a/b/c", "a/d/e"):
        at.put(name)
    at.store.remove_file(at("a/b/c"))
    at.store.prune(at("a"))
    assert not at.store.exists(at("a/b"))
    assert at.names() == ["a/d/e"]
    at.store.remove_file(at("a/d/e"))
    at.store.prune(at("a"))
    assert not at.store.exists(at("a"))
    at.store.prune(at("none"))


def test_the_functions_of_files_write_new_files(root: str) -> None:
    uri, scratch = files.join(root, "file"), files.join(root, "scratch")
    with files.write_new(uri, scratch) as file:
        file.write(b"data")
    before = files.info(uri)
    files.write_bytes_new(uri, b"data", file.result().sha256, scratch)
    with files.Outbox() as outbox:
        outbox.write_bytes_new(uri, b"data", file.result().sha256, scratch)
    assert files.info(uri) == before
    with files.Outbox() as outbox:
        outbox.write_bytes_new(uri, b"more", hashlib.sha256(b"more").hexdigest(), scratch)
    assert files.read_bytes(uri) == b"more"
    assert [name for name, _ in files.find(root)] == ["file"]


def test_what_crosses_processes_can_be_pickled() -> None:
    for value in (FileInfo("/a", 1, "v"), Written(1, "h"), files.write_bytes_new, files.read_range):
        assert pickle.loads(pickle.dumps(value)) == value
