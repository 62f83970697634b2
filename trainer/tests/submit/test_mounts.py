from __future__ import annotations

import pytest

from mat_trainer.submit import mounts
from mat_trainer.submit.mounts import Mount
from tests.submit import jobs


def test_sources_and_paths_are_read() -> None:
    found: list[str] = []
    read = mounts.parse(["claim=/data", "gs://bucket/a=b=/out/"], found)
    assert read == (Mount("claim", "/data"), Mount("gs://bucket/a=b", "/out"))
    assert found == []


@pytest.mark.parametrize("text", ["claim", "=/data", "claim=", "claim=data", "claim=/", "a=/x/.."])
def test_what_is_no_mount_is_told(text: str) -> None:
    found: list[str] = []
    assert mounts.parse([text], found) == ()
    assert found[0].startswith(f"--mount {text}: ")


def test_a_path_that_is_given_twice_is_told() -> None:
    found: list[str] = []
    mounts.parse(["a=/data", "b=/x/..//data/", "c=/out"], found)
    (fault,) = found
    assert "/data is given twice" in fault


@pytest.mark.parametrize(
    ("output_dir", "is_fine"),
    [
        ("/shared", True),
        ("/shared/menus", True),
        ("/shared-too", False),
        ("/shared/../tmp", False),
        ("shared/menus", False),
        ("/out", False),
    ],
)
def test_checkpoints_go_to_a_mounted_volume(output_dir: str, is_fine: bool) -> None:
    found = mounts.faults(jobs.changed(output_dir=output_dir), [Mount("claim", "/shared")])
    assert [fault.split(":")[0] for fault in found] == (
        [] if is_fine else [f"--output-dir {output_dir}"]
    )


def test_a_dataset_is_remote_or_mounted() -> None:
    volume = [Mount("claim", "/shared")]
    assert mounts.faults(jobs.changed(dataset="s3://bucket/mat"), volume) == []
    assert mounts.faults(jobs.changed(dataset="/shared/mat"), volume) == []
    (fault,) = mounts.faults(jobs.changed(dataset="/home/me/mat"), volume)
    assert fault.startswith("--dataset /home/me/mat: not on a mounted volume (/shared)")
