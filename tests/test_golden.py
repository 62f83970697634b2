"""The golden datasets are made again, byte for byte.

A change of the format has to change them in the same commit: `python -m tests.golden_datasets
tests/golden`. The trainer's tests read the same files.
"""

from __future__ import annotations

import json
from importlib import metadata
from pathlib import Path

import pytest

from tests import golden_datasets

FOLDER = Path(__file__).parent / "golden"


def made_by() -> dict[str, str]:
    commit = json.loads((FOLDER / "batch" / "generations" / "000001.json").read_bytes())
    versions: dict[str, str] = commit["made_by"]
    return versions


def test_every_golden_dataset_is_there() -> None:
    assert {path.name for path in FOLDER.iterdir()} == set(golden_datasets.GOLDEN)


@pytest.mark.parametrize("name", golden_datasets.GOLDEN)
def test_a_golden_dataset_is_made_again_byte_for_byte(name: str) -> None:
    for package in ("apache-beam", "pillow", "pyarrow"):
        wanted = made_by()[package]
        if metadata.version(package) != wanted:  # constraints.txt has the wanted one
            pytest.skip(f"{package} {wanted} is needed, which writes the bytes of golden datasets")
    golden = {
        str(path.relative_to(FOLDER / name)): path.read_bytes()
        for path in (FOLDER / name).rglob("*")
        if path.is_file()
    }
    made = golden_datasets.make(name)
    assert sorted(made) == sorted(golden)
    assert [path for path in made if made[path] != golden[path]] == []
