"""Fixtures that several test modules share."""

from __future__ import annotations

from pathlib import Path

import pytest

from beam_mat.sample import SampleSummary, write_sample
from tests.build import SHARED
from tests.command import converted


@pytest.fixture(scope="session")
def mat_sample() -> Path:
    """Forty real trajectories: mat_train.json and files.zip."""
    folder = SHARED / "mat-sample"
    if not folder.exists():
        pytest.skip(f"the real trajectories are not here: there is no {folder}")
    return folder


@pytest.fixture(scope="session")
def made_up(tmp_path_factory: pytest.TempPathFactory) -> SampleSummary:
    """A sample with every fault, in two shards and one that breaks off."""
    return write_sample(tmp_path_factory.mktemp("sample") / "set", shards=2, faults=True)


@pytest.fixture(scope="session")
def made_up_output(tmp_path_factory: pytest.TempPathFactory, made_up: SampleSummary) -> Path:
    """What a conversion of `made_up` wrote. Not to be changed."""
    output = tmp_path_factory.mktemp("made-up") / "out"
    return converted(made_up.shards, made_up.image_zip, output, "--val-fraction", "0.2")
