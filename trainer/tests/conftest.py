"""Fixtures that several test modules share: a model, a dataset to train it on, a free port."""

from __future__ import annotations

import importlib.util
import os
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import pytest

from tests.once import once
from tests.warm import forked

if TYPE_CHECKING:
    from tests.dataset.watched import Watched

ROOT = Path(__file__).resolve().parents[2]
MAT_SAMPLE = ROOT.parent / "shared" / "mat-sample"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Modules with many slow ones begin: of two processes, neither is left with one at the end."""
    slow = Counter(item.path for item in items if item.get_closest_marker("slow"))
    items.sort(key=lambda item: -slow[item.path])


@pytest.fixture(scope="session", autouse=True)
def surroundings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No model hub is asked, no cache of the user touched, no core fought for."""
    folder = tmp_path_factory.mktemp("home")
    # One for all test processes, as for all that a user starts on a machine.
    cache = once(tmp_path_factory, "cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_HUB_OFFLINE", "1")
        patch.setenv("HF_HOME", str(folder / "huggingface"))
        patch.setenv("MAT_TRAINER_CACHE", str(cache))
        patch.setenv("OMP_NUM_THREADS", "1")
        patch.setenv("TOKENIZERS_PARALLELISM", "false")
        yield


@pytest.fixture(scope="module")
def warm() -> Iterator[None]:
    """Python programs that a module's tests start need no time for imports; see `tests.forking`."""
    with forked():
        yield


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny random Qwen2-VL with its tokenizer. Not to be changed."""
    if importlib.util.find_spec("llamafactory") is None:
        _absent("LLaMA-Factory is not installed here; scripts/setup-trainer installs it")

    def make(folder: Path) -> Path:
        made = folder / "tiny-qwen2-vl"
        with forked():
            run_to_end(sys.executable, "-m", "mat_trainer.worker.tiny_model", str(made))
        return made

    return once(tmp_path_factory, "model", make)


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What beam-mat made of forty trajectories, in both formats. Not to be changed."""

    def make(folder: Path) -> Path:
        source = sample_source(tmp_path_factory)
        return converted(sorted(source.glob("*.json")), source, folder / "mat")

    return once(tmp_path_factory, "dataset", make)


@pytest.fixture
def watched(dataset: Path, tmp_path: Path) -> Watched:
    """A dataset of three generations: a and b are added; c is; d replaces a."""
    pytest.importorskip("pyarrow", reason="comes with the extra worker")
    from tests.dataset import making
    from tests.dataset.watched import Watched

    rows = making.rows_of(dataset)
    made = Watched(dataset, tmp_path / "watched")
    made.commit({"a": rows[:4], "b": rows[4:8]})
    made.commit({"c": rows[8:12]})
    made.commit({"d": rows[:3]}, remove=["a"])
    return made


def beam_mat_command() -> str:
    """The command of the other distribution, in its own environment."""
    command = os.environ.get("BEAM_MAT") or str(ROOT / ".venv" / "bin" / "beam-mat")
    if not os.path.exists(command):
        _absent(f"there is no {command}: install the project, or name its command in BEAM_MAT")
    return command


def sample_source(factory: pytest.TempPathFactory) -> Path:
    """A folder of MAT shards and zips: real records, or those of `beam-mat sample`."""
    if MAT_SAMPLE.exists():
        return MAT_SAMPLE

    def make(folder: Path) -> Path:
        run_to_end(beam_mat_command(), "sample", str(folder / "source"))
        return folder / "source"

    return once(factory, "sample", make)


def converted(shards: list[Path], source: Path, output: Path) -> Path:
    """What beam-mat makes of the shards, with the images of `source`."""
    words = ["--json", *shards, "--images", *sorted(source.glob("*.zip")), "--output", output]
    run_to_end(beam_mat_command(), "convert", *map(str, words))
    return output


@pytest.fixture
def free_port() -> int:
    """A port of this machine that nothing listens at."""
    with socket.socket() as listener:
        listener.bind(("", 0))
        port: int = listener.getsockname()[1]
        return port


def _absent(why: str) -> NoReturn:
    if os.environ.get("CI") == "true":
        pytest.fail(why)
    pytest.skip(why)


def run_to_end(*words: str) -> None:
    """Runs a program that has to succeed."""
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, (
        f"{words} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
    )
