"""LLaMA-Factory really trains: two ranks, two nodes, signals, a save on request."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from mat_trainer.core.control import EXIT_SAVED, rank_log
from mat_trainer.launch.checkpoints import AUTO, prepare
from tests import training
from tests.processes import Launched, launched, wait_for
from tests.warm import started_anew

pytestmark = [pytest.mark.worker, pytest.mark.slow, pytest.mark.usefixtures("warm")]
STEPS = 8


@pytest.fixture(scope="module")
def rows(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return training.short_rows(dataset, tmp_path_factory.mktemp("rows") / "short")


Write = Callable[..., Path]


@pytest.fixture(scope="module")
def write(rows: Path, dataset: Path, tiny_model: Path) -> Write:
    """Writes the YAML of a run into its output folder."""

    def write(output: Path, **more: object) -> Path:
        settings = training.settings(tiny_model, rows, dataset, output, **more)
        return training.write(settings, output / "plan.yaml")

    return write


@pytest.fixture(scope="module")
def two_ranks(write: Write, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The output folder of an undisturbed run, and what its launcher showed. Not to be changed.

    Its launcher, torchrun and ranks are started as users start them, and not forked.
    """
    output = tmp_path_factory.mktemp("two") / "out"
    yaml = write(output, max_steps=STEPS)
    scratch = output.parent / "scratch"
    scratch.mkdir()
    variables = {
        **training.torchrun(output, free()),
        "TMPDIR": str(scratch),
        # PyTorch's cache is for all programs of a user. It would be below TMPDIR.
        "TORCHINDUCTOR_CACHE_DIR": str(output.parent / "inductor"),
    }
    show = rank_log(output / "logs", 0)
    with started_anew(), launched(training.command(yaml), variables, show=show) as launcher:
        code, out, err = launcher.ended()
        assert code == 0, out + err
        assert launcher.below() == []
    return output, out


def free() -> int:
    with socket.socket() as listener:
        listener.bind(("", 0))
        port: int = listener.getsockname()[1]
        return port


def own_address() -> str:
    """An address of this machine that others could use; loopback where there is none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.255", 9))  # for documentation only; nothing is sent
        except OSError:
            return "127.0.0.1"
        address: str = probe.getsockname()[0]
        return address


def steps_done(output: Path, steps: int) -> Callable[[], bool]:
    log = output / "trainer_log.jsonl"
    return lambda: log.exists() and len(log.read_text().splitlines()) >= steps


def test_each_rank_has_its_log_and_the_first_is_shown(two_ranks: tuple[Path, str]) -> None:
    output, shown = two_ranks
    logs = [rank_log(output / "logs", rank).read_text() for rank in range(2)]
    assert [log.count("=== ") for log in logs] == [1, 1]
    assert all(f"rank {rank} of 2" in logs[rank].splitlines()[0] for rank in range(2))
    assert all(f"Process rank: {rank}, world size: 2" in logs[rank] for rank in range(2))
    assert "***** train metrics *****" in logs[0]
    assert "***** train metrics *****" not in logs[1]
    assert logs[0] in shown
    assert "Process rank: 1" not in shown


def test_no_temporary_file_is_left(two_ranks: tuple[Path, str]) -> None:
    assert list((two_ranks[0].parent / "scratch").iterdir()) == []


def test_both_ranks_train_together(two_ranks: tuple[Path, str]) -> None:
    output, _ = two_ranks
    losses = training.losses(output)
    assert list(losses) == list(range(1, STEPS + 1))
    assert all(0 < loss < 20 for loss in losses.values())
    # Eight rows on two ranks: an epoch has four steps.
    assert training.log(output)[-1]["epoch"] == STEPS / 4
    assert output.joinpath("adapter_model.safetensors").exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_the_launcher_leaves_no_rank_behind(
    write: Write, tmp_path: Path, number: signal.Signals
) -> None:
    output = tmp_path / "out"
    yaml = write(output, max_steps=10_000)
    with launched(training.command(yaml), training.torchrun(output, free())) as launcher:
        wait_for(steps_done(output, 2))
        ranks = launcher.ranks()
        assert sorted(ranks) == [0, 1]
        assert len({os.getsid(rank.pid) for rank in ranks.values()}) == 2  # no one group holds them
        launcher.process.send_signal(number)
        assert launcher.ended()[0] == 128 + number
        assert launcher.below() == []


def test_a_rank_that_dies_ends_the_launch_and_is_named(write: Write, tmp_path: Path) -> None:
    output = tmp_path / "out"
    yaml = write(output, max_steps=10_000)
    with launched(training.command(yaml), training.torchrun(output, free())) as launcher:
        wait_for(steps_done(output, 1))
        launcher.ranks()[1].kill()
        code, _, err = launcher.ended()
        assert code == 1  # torchrun's own, whatever happened to a rank
        assert launcher.below() == []
    assert "rank      : 1" in err
    assert "Signal 9" in err


def two_nodes(stack: ExitStack, yaml: Path, output: Path, port: int) -> list[Launched]:
    return [
        stack.enter_context(
            launched(
                training.command(yaml),
                training.torchrun(
                    output, port, nproc=1, NNODES=2, NODE_RANK=node, MASTER_ADDR=own_address()
                ),
            )
        )
        for node in range(2)
    ]


def test_two_nodes_stop_at_one_step_when_one_is_asked_and_go_on_to_the_same_end(
    write: Write, two_ranks: tuple[Path, str], tmp_path: Path
) -> None:
    output = tmp_path / "out"
    yaml = write(output, max_steps=STEPS)
    with ExitStack() as stack:
        nodes = two_nodes(stack, yaml, output, free())
        wait_for(steps_done(output, 2))
        for process in (*nodes[1].below(), nodes[1].process):  # as Slurm does it, if told so
            process.send_signal(signal.SIGUSR1)
        ended = [node.ended() for node in nodes]
        assert [code for code, _, _ in ended] == [EXIT_SAVED, EXIT_SAVED], ended
    last = prepare(output, AUTO)
    assert last is not None
    step = int(last.name.removeprefix("checkpoint-"))
    assert 2 <= step < STEPS
    assert list(training.losses(output)) == list(range(1, step + 1))
    assert not output.joinpath("adapter_model.safetensors").exists()  # it is not finished

    yaml = write(output, max_steps=STEPS, resume_from_checkpoint=str(last))
    with ExitStack() as stack:
        nodes = two_nodes(stack, yaml, output, free())
        assert [node.ended()[0] for node in nodes] == [0, 0]
    # Two nodes with a process each, interrupted, and one with two are the same training.
    assert training.losses(output) == pytest.approx(training.losses(two_ranks[0]), abs=1e-3)
    assert rank_log(output / "logs", 1).read_text().count("=== ") == 2  # a line an attempt


def test_a_request_at_the_last_step_changes_nothing(write: Write, tmp_path: Path) -> None:
    output = tmp_path / "out"
    yaml = write(output, max_steps=1)
    with launched(training.command(yaml), training.environment(output)) as launcher:
        wait_for(rank_log(output / "logs", 0).exists)
        launcher.process.send_signal(signal.SIGUSR1)
        assert launcher.ended()[0] == 0
    assert output.joinpath("adapter_model.safetensors").exists()
