"""Signals to a watch: before anything was begun, after, and a second one."""

from __future__ import annotations

import signal

import pytest

from beam_mat.watch.driver import signals_handled

SIGNALS = [signal.SIGINT, signal.SIGTERM]


@pytest.mark.parametrize("one", SIGNALS)
def test_before_the_graph_runs_the_first_is_the_end(one: signal.Signals) -> None:
    with pytest.raises(SystemExit) as ended, signals_handled():
        signal.raise_signal(one)
    assert ended.value.code == 0


@pytest.mark.parametrize("one", SIGNALS)
def test_later_the_first_asks_and_the_second_ends(one: signal.Signals) -> None:
    before = signal.getsignal(one)
    with signals_handled() as shutdown:
        shutdown.has_work = True
        signal.raise_signal(one)
        assert shutdown.requested
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(one)
    assert signal.getsignal(one) is before
