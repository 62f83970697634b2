"""A file that is created if there is none: one writer wins, and knows it even if nobody says so."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from beam_mat.storage import files, stores
from tests.stands import reach
from tests.stands.proxy import Faults, Proxy, proxied


def test_the_first_writes_and_the_second_does_not(root: str) -> None:
    uri = files.join(root, "deep", "file")
    assert files.create(uri, b"one") is True
    assert files.create(uri, b"two") is False
    assert files.read_bytes(uri) == b"one"
    assert [name for name, _ in files.find(root)] == ["deep/file"]


def test_of_twenty_at_once_one_wins(root: str) -> None:
    uri = files.join(root, "file")
    start = threading.Barrier(20)

    def compete(number: int) -> bool:
        start.wait()
        return files.create(uri, b"%d" % number)

    with ThreadPoolExecutor(20) as threads:
        won = [number for number, wrote in enumerate(threads.map(compete, range(20))) if wrote]
    assert won == [int(files.read_bytes(uri))]
    assert [name for name, _ in files.find(root)] == ["file"]


def test_after_it_was_removed_it_can_be_created_again(root: str) -> None:
    uri = files.join(root, "file")
    files.create(uri, b"one")
    files.remove(uri)
    assert files.create(uri, b"two") is True


def test_a_file_system_without_links_serves_as_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_links(*_: object) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", no_links)
    uri = str(tmp_path / "file")
    assert [files.create(uri, data) for data in (b"one", b"two")] == [True, False]
    assert files.read_bytes(uri) == b"one"
    assert os.listdir(tmp_path) == ["file"]


@pytest.fixture(params=["gs", "s3"])
def lossy(request: pytest.FixtureRequest) -> Iterator[tuple[str, Proxy]]:
    """A folder on a store, and the proxy on the way to it."""
    kind = "google" if request.param == "gs" else "amazon"
    with proxied(request.getfixturevalue(kind)) as proxy:
        options = reach.google if kind == "google" else reach.amazon
        stores.use(options(proxy.url))
        folder = f"{request.param}://tests/{request.node.name}"
        yield folder, proxy
        proxy.faults = Faults()
        files.remove(folder)
        stores.use({})


def _writes(method: str, _path: str) -> bool:
    return method in ("PUT", "POST")


@pytest.mark.stands
def test_a_writer_whose_answer_was_lost_has_won(lossy: tuple[str, Proxy]) -> None:
    folder, proxy = lossy
    proxy.faults = Faults(lost=1, on=_writes, most=1)
    assert files.create(files.join(folder, "file"), b"mine") is True
    assert proxy.made == ["lost"]
    assert files.read_bytes(files.join(folder, "file")) == b"mine"


@pytest.mark.stands
def test_a_writer_who_lost_the_race_has_lost_whatever_befalls_its_request(
    lossy: tuple[str, Proxy],
) -> None:
    folder, proxy = lossy
    files.create(files.join(folder, "file"), b"theirs")
    proxy.faults = Faults(lost=0.5, reset=0.5, on=_writes, most=1)
    assert files.create(files.join(folder, "file"), b"mine") is False
    assert len(proxy.made) == 1
    assert files.read_bytes(files.join(folder, "file")) == b"theirs"
