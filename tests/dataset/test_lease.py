"""One run at a time on an output: refused beside a living one, given after a dead one."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import msgspec
import pytest

from beam_mat.core.errors import OutputInUseError
from beam_mat.dataset import lease
from beam_mat.storage import files
from tests.command import ROOT
from tests.storage.conftest import STORES

HOLD = """
import sys
from beam_mat.dataset import lease
with lease.held(sys.argv[1], print):
    print("held", flush=True)
    sys.stdin.read()
"""


def quiet(said: str) -> None:
    """For those who do not want to hear how long it takes."""


on_stores = pytest.mark.parametrize("root", STORES[1:], indirect=True)
"""Where files are created, and locks are unknown."""


@pytest.fixture
def output(root: str) -> str:
    """An output folder on any store, the local disk among them."""
    return files.join(root, "out")


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch, root: str) -> None:
    near = files.is_near(root)
    monkeypatch.setattr(lease, "STALE_SECONDS", 0.6 if near else 3.0)
    monkeypatch.setattr(lease, "RENEW_SECONDS", 0.1 if near else 0.2)


def test_the_second_is_refused_and_told_of_the_first(output: str, impatient: None) -> None:
    with (
        lease.held(output, quiet) as first,
        pytest.raises(OutputInUseError) as told,
        lease.held(output, quiet),
    ):
        raise AssertionError("two hold it")
    text = str(told.value)
    assert text.startswith(f"{output}: process ")
    assert "(started 20" in text
    assert first._holder.host in text
    with lease.held(output, quiet) as again:
        again.check()


def test_one_that_is_given_back_is_free_at_once(output: str) -> None:
    for _ in range(3):
        with lease.held(output, pytest.fail):
            pass


def test_of_many_at_once_one_holds(output: str, impatient: None) -> None:
    holding, refused = [], []
    ready, over = threading.Barrier(8), threading.Barrier(9)

    def reach() -> None:
        ready.wait()
        try:
            with lease.held(output, quiet) as one:
                one.check()
                holding.append(one)
                over.wait()
            return
        except OutputInUseError as error:
            refused.append(error)
        over.wait()

    threads = [threading.Thread(target=reach) for _ in range(8)]
    for thread in threads:
        thread.start()
    over.wait()
    for thread in threads:
        thread.join()
    assert (len(holding), len(refused)) == (1, 7)


def test_a_killed_process_holds_nothing(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path / "out")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    with process:
        assert process.stdout
        assert process.stdout.readline() == "held\n"
        with (
            pytest.raises(OutputInUseError, match=f"process {process.pid} on "),
            lease.held(str(tmp_path / "out"), quiet),
        ):
            raise AssertionError("two hold it")
        process.kill()
        process.wait()
        with lease.held(str(tmp_path / "out"), quiet):
            pass


def dead(output: str, **changes: object) -> None:
    """Leaves the lease of a run that ended without giving it back."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    with lease.held(f"{output}-other", quiet) as one:
        holder = msgspec.structs.replace(one._holder, **{"pid": ended.pid, **changes})
    files.create(f"{output}/_beam_mat/lease/00000007.json", msgspec.json.encode(holder))


@on_stores
def test_a_dead_process_of_this_machine_is_known_at_once(output: str) -> None:
    dead(output)
    with lease.held(output, pytest.fail):
        # Its number stays taken, and the old one goes.
        names = [name for name, _ in files.find(f"{output}/_beam_mat/lease")]
        assert names == ["00000008.json"]


@on_stores
def test_one_of_another_machine_is_watched(output: str, impatient: None) -> None:
    dead(output, host="elsewhere", place="another")
    said: list[str] = []
    with lease.held(output, said.append):
        pass
    (told,) = said
    assert "on elsewhere (started" in told


@on_stores
def test_who_was_taken_for_dead_may_not_publish(output: str, impatient: None) -> None:
    with lease.held(output, quiet) as slow:
        # Another run has waited long enough.
        with lease.held(f"{output}-other", quiet) as one:
            other = msgspec.json.encode(one._holder)
        assert files.create(f"{output}/_beam_mat/lease/00000002.json", other)
        with pytest.raises(OutputInUseError):
            slow.check()
    # Nor does it touch what is no more its own.
    assert files.read_bytes(f"{output}/_beam_mat/lease/00000002.json") == other
