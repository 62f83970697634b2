"""The store of a URI is found once per thread, and again after a change of options."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import fsspec
import pytest

from beam_mat.core.errors import OutputError
from beam_mat.storage import files, stores
from beam_mat.storage import locate as locating
from beam_mat.storage.far_store import FarStore
from beam_mat.storage.hub_store import HubStore
from beam_mat.storage.local_store import LocalStore
from beam_mat.storage.locate import locate
from beam_mat.storage.memory_store import MemoryStore
from beam_mat.storage.store import CHANGES
from tests.build import zip_of


def test_each_address_has_its_store() -> None:
    cwd = os.getcwd()
    expected = {
        "/a/b/": (LocalStore, "/a/b"),
        "/": (LocalStore, "/"),
        "/a::b/c://d": (LocalStore, "/a::b/c://d"),
        "a/b": (LocalStore, f"{cwd}/a/b"),
        "file:///a/b": (LocalStore, "/a/b"),
        "memory://a/b": (MemoryStore, "/a/b"),
        "memory:///a?#1": (MemoryStore, "/a?#1"),
    }
    for uri, (kind, path) in expected.items():
        for _ in range(2):
            store, found = locate(uri)
            assert (type(store), found) == (kind, path)


def test_a_scheme_is_looked_up_once_in_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    looked_up: list[str] = []

    def counted(uri: str) -> Any:
        looked_up.append(uri)
        return fsspec.core.url_to_fs(uri)

    monkeypatch.setattr(locating, "url_to_fs", counted)
    stores.use({})
    found = {id(locate(f"memory:///{number}")[0]) for number in range(10)}
    assert (len(found), looked_up) == (1, ["memory:///0"])
    with ThreadPoolExecutor(1) as threads:
        assert threads.submit(locate, "memory:///a").result()[1] == "/a"
    assert len(looked_up) == 2
    stores.use({})
    locate("memory:///b")
    assert len(looked_up) == 3


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system")
def test_a_forked_process_looks_its_stores_up_again() -> None:
    store, _ = locate("memory:///a")
    child = os.fork()
    if not child:
        os._exit(locate("memory:///a")[0] is store)
    assert os.waitpid(child, 0)[1] == 0
    assert locate("memory:///a")[0] is store


def test_a_chain_of_file_systems_is_read_in_threads_of_its_own() -> None:
    data = b"0123456789" * 2_000_000
    files.write_bytes("memory:///chain.zip", zip_of({"big": data}), "")
    uri = "zip://big::memory://chain.zip"
    assert isinstance(locate(uri)[0], FarStore)
    assert b"".join(files.read_blocks(uri, 5, 20_000_000)) == data[5:]
    files.remove("memory:///chain.zip")


def test_the_hub_refuses_every_change() -> None:
    hub = HubStore(fsspec.filesystem("memory"))
    assert hub.read_only
    arguments = {
        "place": (None, "a"),
        "create": ("a", b""),
        "move": ("a", "a"),
        "prune_above": ("a", ""),
    }
    for name in CHANGES:
        with pytest.raises(OutputError, match="a: the hub is read only"):
            getattr(hub, name)(*arguments.get(name, ("a",)))
    with pytest.raises(OutputError, match="a: the hub is read only"), hub.staged("a", ""):
        pass
