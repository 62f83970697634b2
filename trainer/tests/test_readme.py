"""The README's way from a conversion to a training, run as it stands there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import ROOT, beam_mat_command, sample_source

README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.worker
@pytest.mark.slow
def test_the_five_lines_work(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    block = re.search(r"<!-- not run: by the trainer's tests -->\n```bash\n(.*?)```", README, re.S)
    assert block
    lines = [line.split("  #")[0].strip() for line in block[1].splitlines()]
    assert len(lines) == 5
    source = sample_source(tmp_path_factory)
    shutil.copy(next(source.glob("*.json")), tmp_path / "mat_train.json")
    shutil.copy(next(source.glob("*.zip")), tmp_path / "files.zip")
    for folder, command in (
        (".venv/bin", Path(beam_mat_command())),
        ("trainer/.venv/bin", ROOT / "trainer" / ".venv" / "bin" / "mat-trainer"),
    ):
        tmp_path.joinpath(folder).mkdir(parents=True)
        tmp_path.joinpath(folder, command.name).symlink_to(command)
    for line in lines:
        if line == "scripts/setup-trainer":  # this very environment
            continue
        done = subprocess.run(
            ["bash", "-euc", f"{line} --set max_steps=2" if " run " in line else line],
            cwd=tmp_path,
            env={**os.environ, "MAT_TRAINER_CACHE": str(tmp_path / "cache")},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
    assert tmp_path.joinpath("out", "tiny", "trainer_log.jsonl").exists()
    assert "step 2 of 2" in done.stdout
