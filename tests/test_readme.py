"""The README's commands, run as they stand there."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from beam_mat.core.reject import Reason
from beam_mat.options import ConvertOptions
from beam_mat.sample import write_sample

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"(<!-- not run: [^\n]+ -->\n)?```bash\n(.*?)```", re.DOTALL)


def commands() -> list[str]:
    """The lines of the README's shell blocks that are to be run, comments cut off."""
    blocks = [block for not_run, block in BLOCK.findall(README) if not not_run]
    return [line.split(" #")[0].strip() for block in blocks for line in block.splitlines()]


def test_the_readme_is_short_and_its_links_lead_somewhere() -> None:
    assert len(README.splitlines()) <= 120
    for link in re.findall(r"\]\(([^)#]+)\)", README):
        assert link.startswith("https://") or (ROOT / link).exists(), link


def test_every_option_is_in_the_readme() -> None:
    for option in vars(ConvertOptions([])._visible_options):
        assert f"--{option.replace('_', '-')}" in README


def test_the_commands_work(tmp_path: Path) -> None:
    """In a folder that holds files of the names that the README uses."""
    made = write_sample(tmp_path / "made", records=40, images=30)
    shutil.copy(made.shards[0], tmp_path / "mat_train.json")
    shutil.copy(made.image_zip, tmp_path / "files.zip")
    (tmp_path / "shards").mkdir()
    shutil.copy(made.shards[0], tmp_path / "shards" / "one.json")
    with zipfile.ZipFile(made.image_zip) as archive:
        archive.extractall(tmp_path / "unzipped")
    shutil.copy(made.image_zip, tmp_path / "more.zip")
    lines = [line for line in commands() if line.startswith(".venv/bin/beam-mat")]
    assert [line.split()[1] for line in lines] == ["convert", "convert", "check"]
    for line in lines:
        here = line.replace(
            ".venv/bin/beam-mat",
            f"env PYTHONPATH={ROOT} {sys.executable} -m beam_mat.cli",
        )
        subprocess.run(["bash", "-euc", here], cwd=tmp_path, check=True, capture_output=True)
    for output in ("dataset", "dataset2"):
        assert (tmp_path / output / "manifest.json").exists()


@pytest.mark.slow
def test_the_demo_makes_a_dataset() -> None:
    assert "scripts/demo" in commands()
    existed = (ROOT / "demo").exists()
    try:
        subprocess.run([ROOT / "scripts" / "demo"], cwd=ROOT, check=True, capture_output=True)
        assert (ROOT / "demo" / "dataset" / "manifest.json").exists()
        assert (ROOT / "demo" / "dataset" / "report.html").exists()
    finally:
        if not existed:
            shutil.rmtree(ROOT / "demo", ignore_errors=True)


def test_every_reason_has_its_cure_in_the_docs() -> None:
    text = (ROOT / "docs" / "rejects.md").read_text(encoding="utf-8")
    for reason in Reason:
        assert f"| `{reason.value}` | {reason.sentence} |" in text
