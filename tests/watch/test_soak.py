"""A soak in small; `scripts/soak` runs it at length."""

from __future__ import annotations

from pathlib import Path

import pytest

from beam_mat.sample import write_sample
from tests.outputs import commits
from tests.watch.soak import check as hold
from tests.watch.soak import landings, soak, whole

pytestmark = [pytest.mark.slow, pytest.mark.prism]


@pytest.mark.parametrize("faults", [False, True], ids=["real records", "with faults"])
def test_killed_again_and_again_the_generations_add_up_to_a_conversion(
    tmp_path: Path,
    mat_sample: Path,
    prism: Path,
    faults: bool,
) -> None:
    files = landings(mat_sample / "mat_train.json", mat_sample / "files.zip", 8, 4, seed=faults)
    if faults:
        made = write_sample(tmp_path / "faults" / "set", shards=2, faults=True)
        files = [*whole([*made.shards, made.image_zip], seed=1), *files[:4]]
    done = soak(
        tmp_path / "soak", prism, files, kills=4, pace=0.5, seed=int(faults), image_wait="2s"
    )
    assert done.kills >= 4
    hold(tmp_path / "soak")
    assert commits(tmp_path / "soak" / "out")
