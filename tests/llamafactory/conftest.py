"""LLaMA-Factory's own loader, asked from here and running in its own environment."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

collect_ignore = [
    "reader.py",
    "tiny.py",
    "make_sizes.py",
    "load_folders.py",
]  # not for this environment

ROOT = Path(__file__).resolve().parents[2]
PYTHON = ROOT / "trainer" / ".venv" / "bin" / "python"


class Reader:
    """Sends loads to reader.py."""

    def __init__(self, server: subprocess.Popen[str], scratch: Path) -> None:
        self._server = server
        self._scratch = scratch
        self._asked = 0

    def load(self, folder: Path, name: str, workers: int, order: str = "sorted") -> dict[str, Any]:
        """The rows that arrived, or the error: see reader.py."""
        return self._ask(folder=str(folder), name=name, workers=workers, order=order)

    def train(self, folder: Path, name: str, step: str = "tokenise", **more: Any) -> dict[str, Any]:
        """The tokens and images of each row that is left, or the error: see reader.py.

        Args:
            folder: With dataset_info.json.
            name: The entry.
            step: "tokenise", or "train" to go on through a model.
            more: stage, workers, order, cutoff_len, image_max_pixels, media.
        """
        defaults = {"workers": None, "order": "sorted"}
        return self._ask(**{**defaults, **more, "folder": str(folder), "name": name, "step": step})

    def _ask(self, **request: Any) -> dict[str, Any]:
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._asked += 1
        request["scratch"] = str(self._scratch / str(self._asked))
        self._server.stdin.write(json.dumps(request) + "\n")
        self._server.stdin.flush()
        answer: dict[str, Any] = json.loads(self._server.stdout.readline())
        return answer

    def rows(self, folder: Path, name: str, workers: int, order: str = "sorted") -> list[Any]:
        """The rows that arrived."""
        answer = self.load(folder, name, workers, order)
        assert "rows" in answer, f"{name}, {workers} workers, {order}: {answer['error']}"
        found: list[Any] = answer["rows"]
        return found


@pytest.fixture(scope="session")
def its_python() -> Path:
    """The interpreter of LLaMA-Factory's environment."""
    python = Path(os.environ.get("BEAM_MAT_LLAMAFACTORY", PYTHON))
    if not python.exists():
        why = f"there is no {python}; scripts/setup-trainer makes it"
        if os.environ.get("CI") == "true":
            pytest.fail(why)
        pytest.skip(why)
    return python


@pytest.fixture(scope="session")
def reader(its_python: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    """LLaMA-Factory takes long to import: one process serves all tests."""
    scratch = tmp_path_factory.mktemp("reader")
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(scratch / "home")}
    command = [str(its_python), str(Path(__file__).with_name("reader.py"))]
    with (scratch / "log").open("w") as log:
        server = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        with server:
            yield Reader(server, scratch)
            assert server.stdin is not None
            server.stdin.close()
    assert server.returncode == 0
