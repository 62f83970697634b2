"""Requests on the way at once, their answers in order and never too many; and those that fail."""

from __future__ import annotations

import hashlib
import threading
import traceback
from collections.abc import Callable, Iterator
from functools import partial

import pytest

from beam_mat.core.errors import StoreError
from beam_mat.storage import files, requests
from beam_mat.storage.remote_store import MemoryStore


def test_results_come_in_order_whichever_is_ready_first() -> None:
    gates = [threading.Event() for _ in range(4)]

    def call(number: int) -> int:
        if number < 3:
            assert gates[number + 1].wait(20)  # the one after it goes first
        gates[number].set()
        return number

    results = requests.results((1, partial(call, number)) for number in range(4))
    assert list(results) == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("size", "most"), [(1, requests.REQUESTS), (8 << 20, 4), (requests.BYTES * 2, 1)]
)
def test_as_many_as_fit_are_begun_before_the_first_is_asked_for(size: int, most: int) -> None:
    begun = 0

    def calls() -> Iterator[tuple[int, partial[int]]]:
        nonlocal begun
        for number in range(50):
            begun += 1
            yield size, partial(int, number)

    results = requests.results(calls())
    for taken in range(20):
        assert next(results) == taken
        assert begun - taken - 1 <= most
    if most > 1:
        assert begun - taken - 1 == most
    results.close()  # type: ignore[attr-defined]


def test_an_error_comes_in_its_place() -> None:
    def fail() -> int:
        raise StoreError("gs://b/a: gone")

    calls: list[tuple[int, Callable[[], int]]] = [(1, partial(int, 7)), (1, fail)]
    results = requests.results(calls)
    assert next(results) == 7
    with pytest.raises(StoreError, match="gone"):
        next(results)


def test_small_files_are_all_there_when_their_block_has_ended(root: str) -> None:
    bodies = {str(at): b"x" * at for at in range(20)}
    with files.Outbox() as outbox:
        for name, body in bodies.items():
            sha256 = hashlib.sha256(body).hexdigest()
            outbox.write_bytes_new(files.join(root, name), body, sha256, f"{root}/scratch")
    found = {name: files.read_bytes(file.uri) for name, file in files.find(root)}
    assert found == bodies


def test_what_a_store_refuses_is_told_at_the_end_of_the_block(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(_: object, staged: object, path: str, written: object) -> None:
        raise StoreError(f"memory://{path}: full")

    monkeypatch.setattr(MemoryStore, "near", False)
    monkeypatch.setattr(MemoryStore, "place_new", refuse)
    with pytest.raises(StoreError, match="memory:///a: full"), files.Outbox() as outbox:
        outbox.write_bytes_new("memory:///a", b"12", "", "")


def test_attempts_have_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "FIRST_PAUSE_SECONDS", 0.0)
    made = []

    def fail() -> None:
        made.append(1)
        raise ConnectionResetError("by peer")

    with pytest.raises(StoreError, match=r"a\.zip: .* ConnectionResetError: by peer"):
        requests.insist("gs://b/a.zip", fail)
    assert len(made) == requests.ATTEMPTS


@pytest.mark.parametrize("kind", [ConnectionError, PermissionError])
def test_a_signed_address_in_a_drivers_error_is_not_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, kind: type[OSError]
) -> None:
    monkeypatch.setattr(requests, "FIRST_PAUSE_SECONDS", 0.0)
    caplog.set_level("INFO")

    def fail() -> None:
        raise kind("for url: https://cdn.host/ab/cd?X-Amz-Signature=hush&x=1")

    with pytest.raises(StoreError, match=r"for url: https://cdn\.host/ab/cd\?…") as told:
        requests.insist("hf://datasets/a/b/files.zip", fail)
    assert "hush" not in "".join(traceback.format_exception(told.value)) + caplog.text
