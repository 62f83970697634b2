"""Work in other processes: results come back, and a death costs the item that caused it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beam_mat.core.errors import SourceError
from beam_mat.work.worker import Limits
from beam_mat.work.workers import Death, Workers
from tests.command import ROOT
from tests.processes import mark, survivors
from tests.properties import examples
from tests.work.misbehaving import keep, obey, pid

LIMITS = Limits(memory=256 << 20, cpu_seconds=0.3, seconds=5)


@pytest.fixture
def workers() -> Iterator[Workers]:
    made = Workers(2, ["tests.work.misbehaving"], LIMITS)
    yield made
    made.close()


def done(workers: Workers, words: list[str]) -> list[Any]:
    found = dict(workers.map(obey, "> ", ((at, len(word), word) for at, word in enumerate(words))))
    return [found.pop(at) for at in range(len(words))] + list(found.values())


def template(workers: Workers) -> psutil.Process:
    """Returns the process that forks the workers."""
    assert workers._template
    return psutil.Process(workers._template.pid)


def test_each_item_has_its_result(workers: Workers) -> None:
    words = [f"word {number}" for number in range(500)]
    assert done(workers, words) == [f"> {word}" for word in words]
    assert done(workers, []) == []


@pytest.mark.parametrize(
    ("word", "death"),
    [
        ("abort", Death(False, "the decoder was ended by SIGABRT")),
        ("exit", Death(False, "the decoder exited with code 3")),
        ("spin", Death(True, "it takes more than 0.3 seconds of CPU time")),
        ("wait", Death(True, "it is not finished after 5 seconds")),
        ("allocate", Death(False, "it needs more than 256 MiB of memory")),
    ],
)
def test_a_death_costs_one_item(workers: Workers, word: str, death: Death) -> None:
    others = [f"word {number}" for number in range(40)]
    words = [*others[:17], word, *others[17:]]
    expected = [death if one == word else f"> {one}" for one in words]
    assert done(workers, words) == expected
    assert done(workers, [word]) == [death]


@given(at=st.sets(st.integers(0, 29)))
@settings(max_examples=examples(10))
def test_any_items_may_die(at: set[int]) -> None:
    words = ["exit" if number in at else str(number) for number in range(30)]
    shared = Workers(2, ["tests.work.misbehaving"], LIMITS)
    try:
        found = done(shared, words)
    finally:
        shared.close()
    assert [isinstance(one, Death) for one in found] == [number in at for number in range(30)]


def test_memory_that_others_have_lost_convicts_no_item(workers: Workers) -> None:
    for _ in range(4):
        assert dict(workers.map(keep, "", ((at, 1, 150) for at in range(4)), 4)) == dict.fromkeys(
            range(4), 0
        )


def test_a_signal_from_outside_convicts_no_item(workers: Workers, tmp_path: Path) -> None:
    often = tmp_path / "often"
    often.write_text("once\ntwice\nthree times\n")
    words = ["a", f"killed {often}", "b"]
    assert done(workers, words) == [f"> {word}" for word in words]
    often.write_text("and again\n" * 100)
    assert done(workers, words)[1] == Death(False, "the decoder was ended by SIGKILL")


def test_exceptions_come_through(workers: Workers) -> None:
    with pytest.raises(SourceError, match=r"^it has changed$"):
        done(workers, ["a", "raise", "b"])
    with pytest.raises(RuntimeError, match="KeyError"):
        done(workers, ["a", "fail", "b"])
    assert done(workers, ["a"]) == ["> a"]


def test_results_that_nobody_wants_are_dropped(workers: Workers) -> None:
    results = workers.map(obey, "", ((word, 1, word) for word in ["a", "wait", "b", "c"]), 4)
    next(results)
    results.close()  # type: ignore[attr-defined]
    assert done(workers, ["d"]) == ["> d"]


def test_threads_share_the_workers(workers: Workers) -> None:
    found = []

    def one(number: int) -> None:
        found.append(done(workers, [f"{number} {at}" for at in range(60)]))

    threads = [threading.Thread(target=one, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == [[f"> {number} {at}" for at in range(60)] for number in range(6)]
    assert len(template(workers).children()) == 2


def test_both_work_at_once(workers: Workers) -> None:
    pids = dict(workers.map(pid, "", ((at, 1, 0.3) for at in range(4)), 4))
    assert len(set(pids.values())) == 2


def test_a_killed_template_is_started_again(workers: Workers) -> None:
    done(workers, ["a"])
    template(workers).kill()
    assert done(workers, ["exit", "b"]) == [Death(False, "the decoder exited with code 3"), "> b"]


PROGRAM = """
import sys
from beam_mat.work.workers import Workers
from tests.work.misbehaving import obey

workers = Workers(2, ["tests.work.misbehaving"])
for _ in workers.map(obey, "", [(0, 1, "a"), (1, 1, "b"), (2, 1, "wait"), (3, 1, "spin")], 4):
    print("working", flush=True)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_workers_end_with_their_parent(number: signal.Signals, tmp_path: Path) -> None:
    marked = mark()
    program = subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        env={**os.environ, **marked, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=tmp_path,
        text=True,
    )
    with program:
        assert program.stdout
        for _ in range(2):
            assert program.stdout.readline() == "working\n"
        time.sleep(0.1)
        program.send_signal(number)
    assert survivors(marked) == []


def test_a_file_in_the_working_folder_is_not_imported(
    workers: Workers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "signal.py").write_text("raise SystemExit('a foreign file')")
    monkeypatch.chdir(tmp_path)
    assert done(workers, ["a"]) == ["> a"]


FORK = """
import os
from beam_mat.work.workers import workers
from tests.work.misbehaving import obey

def run():
    mine = workers(1, ("tests.work.misbehaving",))
    return [result for _, result in mine.map(obey, "", [(0, 1, "a")], 1)]

assert run() == ["a"]
child = os.fork()
if child == 0:
    os._exit(0 if run() == ["a"] else 1)
assert os.waitpid(child, 0)[1] == 0
assert run() == ["a"]
"""


def test_a_forked_process_has_workers_of_its_own(tmp_path: Path) -> None:
    marked = mark()
    environment = {**os.environ, **marked, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", FORK], env=environment, check=True, timeout=60)
    assert survivors(marked) == []
