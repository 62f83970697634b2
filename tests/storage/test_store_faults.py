"""What stores do on bad days: everything comes right or fails by name, nothing comes short."""

from __future__ import annotations

import json
import os
import random
import tempfile
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

from beam_mat.core.errors import SourceError, StoreError
from beam_mat.storage import files, requests, stores
from beam_mat.storage.remote_store import SEND_PIECE, RemoteStore
from beam_mat.work.results import is_json
from tests.stands import reach
from tests.stands.proxy import Faults, Proxy, proxied

pytestmark = pytest.mark.stands

DATA = random.Random(3).randbytes(1 << 20)


@pytest.fixture(params=["gs", "s3"])
def far(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[str, Proxy]]:
    """A folder on a store, and the proxy on the way to it."""
    monkeypatch.setattr(requests, "FIRST_PAUSE_SECONDS", 0.01)
    kind = "google" if request.param == "gs" else "amazon"
    with proxied(request.getfixturevalue(kind)) as proxy:
        options = reach.google if kind == "google" else reach.amazon
        stores.use(options(proxy.url))
        folder = f"{request.param}://tests/{request.node.name}"
        yield folder, proxy
        proxy.faults = Faults()
        files.remove(folder)
        stores.use({})


def put(far: tuple[str, Proxy], data: bytes = DATA) -> str:
    uri = files.join(far[0], "file.bin")
    files.write_bytes(uri, data, "")
    return uri


BAD = {
    "busy": Faults(statuses={503: 1}, most=1),
    "too many": Faults(statuses={429: 1}, most=1),
    "broken": Faults(statuses={500: 1}, most=1),
    "reset": Faults(reset=1, most=1),
    "cut": Faults(cut=1, most=1, on=lambda method, _: method == "GET"),
    "short": Faults(short=1, most=3, on=lambda method, _: method == "GET"),
}


@pytest.mark.parametrize("faults", BAD.values(), ids=BAD)
def test_a_range_comes_right_after_a_fault(far: tuple[str, Proxy], faults: Faults) -> None:
    uri = put(far)
    far[1].faults = faults
    assert files.read_range(uri, 1000, 500_000) == DATA[1000:500_000]
    assert far[1].made


@pytest.mark.parametrize("faults", BAD.values(), ids=BAD)
def test_a_file_and_its_listing_come_right_after_a_fault(
    far: tuple[str, Proxy], faults: Faults
) -> None:
    uri = put(far)
    far[1].faults = faults
    assert [name for name, _ in files.find(far[0])] == ["file.bin"]
    assert files.read_bytes(uri) == DATA
    assert files.exists(uri)
    assert far[1].made


@pytest.mark.parametrize("size", [1000, 3 * SEND_PIECE])
def test_a_file_is_written_right_after_a_fault(far: tuple[str, Proxy], size: int) -> None:
    far[1].faults = Faults(lost=0.5, statuses={503: 0.25}, reset=0.25, most=2)
    data = DATA[:1000] if size == 1000 else DATA * (size >> 20)
    uri = put(far, data)
    assert len(far[1].made) == 2
    assert files.read_bytes(uri) == data


@pytest.mark.slow
def test_under_many_faults_everything_comes_right(far: tuple[str, Proxy]) -> None:
    far[1].faults = Faults(reset=0.03, cut=0.04, short=0.06, statuses={503: 0.03})
    names = [files.join(far[0], f"{number}") for number in range(15)]
    for number, uri in enumerate(names):
        files.write_bytes(uri, DATA[: number * 2000], "")
    for _ in range(2):
        assert list(files.read_each(names)) == [DATA[: n * 2000] for n in range(15)]
    assert len(far[1].made) > 5


def test_a_store_that_stays_broken_is_an_error_that_names_the_file(
    far: tuple[str, Proxy], monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = put(far)
    # The driver's own attempts take half a minute.
    monkeypatch.setattr(requests, "LIMIT_SECONDS", 0.0)
    far[1].faults = Faults(short=1, on=lambda method, _: method == "GET")
    with pytest.raises(
        StoreError, match=r"file\.bin: the store failed \d time.* run the command again"
    ):
        files.read_range(uri, 0, 1000)
    far[1].faults = Faults(statuses={403: 1})
    with pytest.raises(StoreError, match=r"file\.bin: the store"):
        files.read_range(uri, 0, 1000)
    with pytest.raises(StoreError, match=r"file\.bin: the store"):
        files.exists(uri)
    with pytest.raises(StoreError, match=r"file\.bin: the store"):
        files.write_bytes(uri, b"new", "")


def test_a_file_that_shrank_or_went_is_told_from_a_broken_store(far: tuple[str, Proxy]) -> None:
    uri = put(far)
    for end in (len(DATA) + 1, 3 << 20):
        with pytest.raises(SourceError, match=r"file\.bin: .* the file changed"):
            files.read_range(uri, len(DATA) - 10, end)
    files.remove(uri)
    with pytest.raises(SourceError, match=r"file\.bin: was there"):
        files.read_range(uri, 0, 10)


def test_a_large_file_that_fails_leaves_nothing(far: tuple[str, Proxy]) -> None:
    uri = files.join(far[0], "file.bin")
    with pytest.raises(RuntimeError), files.write(uri, "") as file:  # noqa: PT012
        for _ in range(40):
            file.write(DATA)
        assert not files.exists(uri)
        raise RuntimeError
    assert not files.exists(uri)
    assert files.find(far[0]) == []


@pytest.mark.parametrize("store", ["google", "amazon"])
def test_a_large_file_takes_no_more_memory_than_a_few_pieces(
    request: pytest.FixtureRequest, store: str
) -> None:
    url = request.getfixturevalue(store)
    stores.use(reach.google(url) if store == "google" else reach.amazon(url))
    uri = f"{'gs' if store == 'google' else 's3'}://tests/{request.node.name}"
    size = 12 * SEND_PIECE
    tracemalloc.start()
    try:
        with files.write(uri, "") as file:
            for _ in range(size // len(DATA)):
                file.write(DATA)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 5 * SEND_PIECE
    assert files.info(uri).size == size
    assert files.read_range(uri, size - len(DATA), size) == DATA
    files.remove(uri)
    stores.use({})


def test_what_tells_by_itself_that_it_is_whole_costs_no_looks(far: tuple[str, Proxy]) -> None:
    uri = put(far)
    before = len(far[1].seen)
    assert files.read_bytes(uri, lambda _, data: data == DATA) == DATA
    of_the_driver = 1 if uri.startswith("s3:") else 0  # it takes a look itself
    assert len(far[1].seen) == before + 1 + of_the_driver


def test_what_tells_by_itself_that_it_is_whole_is_never_short(far: tuple[str, Proxy]) -> None:
    names = [files.join(far[0], f"{number}.json") for number in range(6)]
    values = [json.dumps(["x" * 999, {"at": number}]).encode() for number in range(6)]
    for uri, data in zip(names, values, strict=True):
        files.write_bytes(uri, data, "")
    far[1].faults = Faults(short=0.6, most=5, on=lambda method, _: method == "GET")
    assert list(files.read_each(names, is_json)) == values
    assert far[1].made
    # Nor is what lies there damaged a reason to ask for ever.
    files.write_bytes(names[0], b'{"a":', "")
    assert files.read_bytes(names[0], is_json) == b'{"a":'


def test_a_file_is_removed_by_one_request(far: tuple[str, Proxy]) -> None:
    uri, other = (files.join(far[0], name) for name in ("a[1].json", "a1.json"))
    files.write_bytes(uri, b"1", "")
    files.write_bytes(other, b"2", "")
    before = len(far[1].seen)
    files.remove_file(uri)
    assert len(far[1].seen) == before + 1
    assert (files.exists(uri), files.exists(other)) == (False, True)
    files.remove_file(uri)


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="files without a name are Linux's")
def test_what_waits_to_be_sent_has_no_name_that_could_outlive_the_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    data = os.urandom(SEND_PIECE + 1)
    store = RemoteStore(fsspec.filesystem("file"))
    with store.staged("", "") as staged:
        staged.write(data)
        assert list(tmp_path.iterdir()) == []
        store.place(staged, str(tmp_path / "sent"))
    assert (tmp_path / "sent").read_bytes() == data
