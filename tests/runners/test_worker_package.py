"""What workers install: a project of the files that run here, and its requirements pinned."""

from __future__ import annotations

import subprocess
import sys
import tarfile
from importlib import metadata
from pathlib import Path

import pytest
from apache_beam.options.pipeline_options import PipelineOptions, SetupOptions
from packaging.requirements import Requirement

import beam_mat
from beam_mat.core.errors import ConfigError
from beam_mat.runners import worker_package

PACKAGE = Path(beam_mat.__file__).parent


def names(needed: list[Requirement]) -> set[str]:
    return {requirement.name for requirement in needed}


def test_a_worker_needs_the_drivers_of_the_protocols_and_no_other() -> None:
    plain = names(worker_package.requirements([]))
    assert {"apache-beam", "fsspec", "pillow", "pyarrow", "cykooz-resizer"} <= plain
    assert not plain & {"gcsfs", "s3fs", "huggingface_hub", "build", "pytest"}
    assert names(worker_package.requirements(["gs", "https"])) == plain | {"gcsfs"}
    assert names(worker_package.requirements(["s3", "hf"])) == plain | {"s3fs", "huggingface_hub"}


def test_pins_are_what_is_installed_with_all_that_it_requires() -> None:
    pinned = worker_package.pins([Requirement("rich>=13"), Requirement("apache-beam")])
    assert f"rich=={metadata.version('rich')}" in pinned
    assert f"markdown-it-py=={metadata.version('markdown-it-py')}" in pinned
    assert f"mdurl=={metadata.version('mdurl')}" in pinned
    assert not any(pin.startswith("apache-beam") for pin in pinned)


def test_a_requirement_of_another_system_is_not_pinned() -> None:
    assert worker_package.pins([Requirement('nowhere; sys_platform == "vms"')]) == []


def test_what_is_not_installed_is_a_fault() -> None:
    with pytest.raises(ConfigError, match="nowhere-at-all is not installed"):
        worker_package.pins([Requirement("nowhere_at_all>=1")])


def test_the_project_holds_the_package_as_it_runs_here(tmp_path: Path) -> None:
    pytest.importorskip("build")
    needed = worker_package.requirements(["gs"])
    project = worker_package.write_project(tmp_path / "project", needed)
    command = [sys.executable, "-m", "build", "--no-isolation", "--sdist"]
    subprocess.run(
        [*command, "--outdir", tmp_path, project.parent], check=True, capture_output=True
    )
    with tarfile.open(tmp_path / f"beam_mat-{beam_mat.__version__}.tar.gz") as packed:
        packed.extractall(tmp_path / "unpacked", filter="data")
    (root,) = (tmp_path / "unpacked").iterdir()
    expected = {
        file.relative_to(PACKAGE): file.read_bytes()
        for file in PACKAGE.rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }
    found = {
        file.relative_to(root / "beam_mat"): file.read_bytes()
        for file in (root / "beam_mat").rglob("*")
        if file.is_file()
    }
    assert found == expected
    said = metadata.Distribution.at(root / "beam_mat.egg-info")
    assert {Requirement(text).name for text in said.requires or ()} == names(needed)


def test_a_setup_file_of_the_user_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    options = PipelineOptions(["--setup_file", "setup.py"])
    with worker_package.staged(options, ["gs"]):
        assert options.view_as(SetupOptions).setup_file == str(tmp_path / "setup.py")
        assert options.view_as(SetupOptions).requirements_file is None


def test_a_container_of_the_user_holds_everything() -> None:
    options = PipelineOptions(["--sdk_container_image", "example.com/beam-mat:1"])
    with worker_package.staged(options, ["gs"]):
        assert options.view_as(SetupOptions).setup_file is None
        assert options.view_as(SetupOptions).requirements_file is None


def test_wheels_that_cannot_be_had_are_a_fault_and_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "links").mkdir()
    (tmp_path / "temporary").mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "links"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    with (
        pytest.raises(ConfigError, match=r"No matching distribution.*--sdk_container_image"),
        worker_package.staged(PipelineOptions([]), []),
    ):
        pytest.fail("there are no wheels")
    assert list((tmp_path / "temporary").iterdir()) == []
