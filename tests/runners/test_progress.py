"""The display of progress: what reaches it, and what it shows on a terminal and elsewhere."""

from __future__ import annotations

import socket
import threading
from collections import Counter
from collections.abc import Callable

import pytest

from beam_mat.runners import progress
from beam_mat.transforms.step import send_progress


def until(holds: Callable[[], bool]) -> None:
    """Waits for packets, which arrive when they arrive."""
    for _ in range(1000):
        if holds():
            return
        threading.Event().wait(0.01)
    raise AssertionError("it never came to hold")


@pytest.fixture
def quick_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "LINE_SECONDS", 0.01)


def test_what_workers_tell_is_added_up() -> None:
    with progress.shown(100) as receiver:
        send_progress(receiver.address, records=3, bytes=50)
        send_progress(receiver.address, records=1, images=2)
        until(lambda: receiver.counts == Counter(records=4, bytes=50, images=2))


def test_what_is_not_one_of_ours_does_no_harm() -> None:
    with progress.shown(100) as receiver:
        host, port = receiver.address.split(":")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            for packet in (b"", b"\xff\x00", b"[1]", b'{"records": "many"}', b'{"records": {}}'):
                stranger.sendto(packet, (host, int(port)))
        send_progress(receiver.address, records=1)
        until(lambda: receiver.counts["records"] == 1)


def test_nobody_listening_does_no_harm() -> None:
    send_progress("", records=1)
    with progress.shown(1) as receiver:
        address = receiver.address
    send_progress(address, records=1)


def test_lines_where_there_is_no_terminal(
    quick_lines: None, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = ""
    with progress.shown(200) as receiver:
        send_progress(receiver.address, records=1200, bytes=100, wanted=8, images=2, rejected=3)
        send_progress(receiver.address, written=70)

        def complete() -> bool:
            nonlocal shown
            shown += capsys.readouterr().err
            return "70 written, 3 rejected" in shown

        until(complete)
    line = next(line for line in shown.splitlines() if line.endswith("70 written, 3 rejected"))
    assert "split 50 %, 1,200 records found, 2 of 8 images" in line


def test_bars_on_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    with progress.shown(200_000_000) as receiver:
        send_progress(
            receiver.address, records=40, bytes=150_000_000, wanted=8, images=2, rejected=3
        )
        send_progress(receiver.address, requested=30, written=20)
        until(lambda: receiver.counts["written"] == 20)
    shown = capsys.readouterr().err
    for step, done in (
        ("Split shards", "150/"),
        ("Check records", "30/40"),
        ("Convert images", "2/8"),
        ("Write records", "20/40"),
    ):
        assert step in shown
        assert done in shown
    assert "3 rejected" in shown


def test_the_display_ends_with_its_block(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    # Threads of other tests may end meanwhile.
    before = set(threading.enumerate())
    with (
        pytest.raises(ZeroDivisionError),
        progress.shown(1),
    ):
        _ = 1 / 0
    assert set(threading.enumerate()) <= before
