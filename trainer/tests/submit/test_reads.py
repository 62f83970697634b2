from __future__ import annotations

from pathlib import Path

import pytest

from mat_trainer.submit import reads
from mat_trainer.submit.mounts import Mount


@pytest.mark.parametrize("key", reads.KEYS)
def test_a_path_of_this_machine_is_told_unless_the_job_has_it(key: str, tmp_path: Path) -> None:
    file = tmp_path / "a" / "b" / "file"
    file.parent.mkdir(parents=True)
    file.touch()
    (fault,) = reads.faults({key: str(file)}, [])
    assert fault.startswith(f"{key} {file}: on this machine, but not on a mounted volume")
    assert reads.faults({key: str(file)}, [Mount("claim", str(tmp_path))]) == []
    assert reads.faults({key: "/in/the/image"}, []) == []  # nobody sees that from here
    (fault,) = reads.faults({key: "./a/file"}, [])
    assert "pass an absolute path" in fault


def test_slurms_nodes_are_believed_to_have_what_this_machine_has(tmp_path: Path) -> None:
    assert reads.absent({"deepspeed": str(tmp_path), "model_name_or_path": "team/model"}) == []
    (notice,) = reads.absent({"deepspeed": "ds_z3.json"})
    assert "deepspeed ds_z3.json: not on this machine" in notice


def test_settings_in_place_and_names_on_the_hub_are_no_paths() -> None:
    settings = {"model_name_or_path": "team/model", "deepspeed": {"stage": 3}}
    assert reads.faults(settings, []) == []
