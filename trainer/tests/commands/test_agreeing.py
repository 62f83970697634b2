from __future__ import annotations

import signal
from typing import Any

import pytest

from mat_trainer.commands import run
from mat_trainer.commands.agreeing import StopAskedError, interruptible
from mat_trainer.core.errors import NodeError, PreflightError
from mat_trainer.dataset.source import Source
from mat_trainer.launch.wire import Verdict


def test_a_request_to_stop_is_not_taken_for_an_error_of_a_store(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    source = Source("memory://nowhere/mat")

    def asked_meanwhile(*_: Any, **__: Any) -> list[str]:
        signal.raise_signal(signal.SIGUSR1)
        return []

    for name in ("ls", "cat_file"):
        monkeypatch.setattr(type(source._fs), name, asked_meanwhile)
    before = signal.signal(signal.SIGUSR1, run._stop)
    try:
        with pytest.raises(StopAskedError):
            source.names("generations")
        with pytest.raises(StopAskedError):
            source.find("manifest.json")
    finally:
        signal.signal(signal.SIGUSR1, before)


@pytest.mark.parametrize(
    ("verdict", "kind"),
    [
        (Verdict(["node 1: no room"], ""), PreflightError),
        (Verdict(["node 1 is lost"], "", lost=True), NodeError),
        (Verdict(["node 1 was asked to stop"], "", stopped=True), StopAskedError),
    ],
)
def test_work_is_interrupted_when_another_node_has_ended(
    verdict: Verdict, kind: type[BaseException]
) -> None:
    before = signal.getsignal(signal.SIGUSR2)
    with pytest.raises(kind) as caught:
        work(verdict)
    assert caught.type is kind
    assert signal.getsignal(signal.SIGUSR2) is before


def work(verdict: Verdict) -> None:
    """Work that takes every `Exception` for its own, while another node ends."""
    with interruptible() as ended:
        try:
            ended(verdict)
            signal.sigtimedwait([], 600)
        except Exception:  # noqa: BLE001 as code in between may do
            pytest.fail("it was taken for an error")
