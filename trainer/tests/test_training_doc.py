"""docs/training.md: every test that it names exists."""

from __future__ import annotations

import re
from pathlib import Path

TESTS = Path(__file__).resolve().parent
DOC = (TESTS.parents[1] / "docs" / "training.md").read_text(encoding="utf-8")


def test_every_accident_names_a_test_that_exists() -> None:
    table = DOC[DOC.index("## When something goes wrong") :]
    rows = [line.split("|")[1:-1] for line in table.splitlines() if line.startswith("| ")][1:]
    assert len(rows) > 20
    for accident, _, tests in rows:
        named = re.findall(r"`([a-z_/]+\.py)`", tests)
        assert named, accident
        for name in named:
            assert (TESTS / name).is_file(), name
