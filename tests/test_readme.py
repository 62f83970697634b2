"""The README: short, complete, and leading somewhere. Its commands run in test_docs."""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from beam_mat.cli.convert import command_line

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_readme_is_short_and_its_links_lead_somewhere() -> None:
    assert len(README.splitlines()) <= 120
    for link in re.findall(r"\]\(([^)#]+)\)", README):
        assert link.startswith("https://") or (ROOT / link).exists(), link


def test_every_option_is_in_the_readme() -> None:
    for action in command_line()._actions:
        if action.help != argparse.SUPPRESS and action.option_strings[0] != "-h":
            assert action.option_strings[0] in README


@pytest.mark.slow
def test_the_demo_makes_a_dataset() -> None:
    assert "\nscripts/demo " in README
    existed = (ROOT / "demo").exists()
    try:
        subprocess.run([ROOT / "scripts" / "demo"], cwd=ROOT, check=True, capture_output=True)
        assert (ROOT / "demo" / "dataset" / "manifest.json").exists()
        assert (ROOT / "demo" / "dataset" / "report.html").exists()
    finally:
        if not existed:
            shutil.rmtree(ROOT / "demo", ignore_errors=True)
