"""A process that dies ends the job, even if Beam waits for it forever."""

from __future__ import annotations

import signal
import threading

import pytest

from beam_mat.core.errors import SourceError, WorkerLostError
from beam_mat.runners import workers


def lose_worker(said: str, error: Exception | None) -> None:
    """A worker ends as Beam says it, and then Beam raises an error, or waits forever."""

    def wait() -> None:
        raise RuntimeError(said)

    with workers.watched():
        thread = threading.Thread(target=wait, name="run_worker_1")
        thread.start()
        thread.join()
        if error:
            raise error
        threading.Event().wait(20)


def test_a_killed_worker_ends_a_block_that_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "GRACE_SECONDS", 0.05)
    monkeypatch.setattr(workers, "_descendants", list)
    handler, hook = signal.getsignal(signal.SIGUSR1), threading.excepthook
    with pytest.raises(WorkerLostError, match=r"died \(.*-9\); see whether"):
        lose_worker("Worker subprocess exited with return code -9", None)
    assert signal.getsignal(signal.SIGUSR1) is handler
    assert threading.excepthook is hook


def test_a_killed_worker_explains_the_error_of_beam_but_not_one_of_ours() -> None:
    killed = "Worker subprocess exited with return code 137"
    with pytest.raises(WorkerLostError):
        lose_worker(killed, RuntimeError("Beam noticed"))
    with pytest.raises(SourceError):
        lose_worker(killed, SourceError("a.zip: cannot be read"))


def test_a_worker_that_ends_with_an_error_has_said_why() -> None:
    with pytest.raises(RuntimeError, match="the reason"):
        lose_worker("Worker subprocess exited with return code 1", RuntimeError("the reason"))
