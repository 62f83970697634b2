from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mat_trainer.commands import plan, presets
from mat_trainer.core import document
from mat_trainer.core import recipe as recipes
from mat_trainer.core.errors import ConfigError

# Runs the command where nothing can be started and nothing that trains can be imported.
BARE = """\
import argparse, subprocess, sys
for name in ("llamafactory", "torch", "transformers", "datasets", "pyarrow", "omegaconf"):
    sys.modules[name] = None
subprocess.Popen.__init__ = None
from mat_trainer.commands import plan
root = argparse.ArgumentParser()
plan.add_parser(root.add_subparsers())
args = root.parse_args()
sys.exit(args.run(args))
"""


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """The manifest of a dataset with 1500 rows, which is all that a plan reads."""
    folder = tmp_path / "mat"
    folder.mkdir()
    parts = [
        {
            "path": f"{format}{'_val' * (split == 'val')}/{split}-mat-0a1b-000.{format}",
            "format": format,
            "split": split,
            "rows": rows,
            "bytes": 1,
            "sha256": "0" * 64,
        }
        for format in ("jsonl", "parquet")
        for split, rows in (("train", 1500), ("val", 20))
    ]
    manifest = {"format": 3, "generation": 1, "command": "convert", "parts": parts}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def run(*words: str) -> int:
    root = argparse.ArgumentParser()
    subparsers = root.add_subparsers()
    plan.add_parser(subparsers)
    presets.add_parser(subparsers)
    args = root.parse_args(words)
    return int(args.run(args))


def yaml_in(out: str) -> dict[str, object]:
    block = out.partition("train.yaml:\n")[2].partition("command:\n")[0]
    return document.read(block, "it")


def test_a_plan_tells_rows_yaml_command_and_environment(
    dataset: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--output-dir", "/runs/a", "--nproc-per-node", "8", "--nnodes", "2"]
    assert (
        run("plan", "qwen2_vl_7b_lora", "--dataset", str(dataset), *words, "--master-addr", "node0")
        == 0
    )
    out = capsys.readouterr().out
    assert "1,000 of 1,500 are trained on" in out
    assert "--set max_samples=null" in " ".join(out.split())
    settings = yaml_in(out)
    assert settings["dataset"] == "mat"
    assert settings["dataset_dir"] == settings["media_dir"] == str(dataset)
    assert settings["output_dir"] == "/runs/a"
    assert settings["learning_rate"] == 1e-4
    for words_ in ("FORCE_TORCHRUN=1", "NPROC_PER_NODE=8", "MASTER_ADDR=node0"):
        assert words_ in out
    assert "-m mat_trainer.worker.train /runs/a/train.yaml" in out


def test_all_rows_are_used_when_the_limit_is_lifted(
    dataset: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("plan", "qwen2_vl_7b_lora", "--dataset", str(dataset), "--set", "max_samples=null")
    out = capsys.readouterr().out
    assert "1,500 of 1,500 are trained on" in out
    assert "max_samples" not in out


def test_the_entry_can_be_chosen(dataset: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("plan", "tiny_cpu", "--dataset", str(dataset), "--set", "dataset=mat_parquet_val")
    out = capsys.readouterr().out
    assert yaml_in(out)["dataset"] == "mat_parquet_val"
    assert "8 of 20 are trained on" in out


@pytest.mark.parametrize(
    ("name", "words"), [("minicpm_v_2_6_lora", "ON"), ("qwen2_5_vl_7b_lora", "off")]
)
def test_it_says_whether_remote_code_is_trusted(
    dataset: Path, capsys: pytest.CaptureFixture[str], name: str, words: str
) -> None:
    run("plan", name, "--dataset", str(dataset))
    assert f"remote code  {words}" in capsys.readouterr().out


def test_notices_of_an_old_file_are_told(
    dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = tmp_path / "old.yaml"
    recipe.write_text("model_name_or_path: m\nimage_resolution: 512\noutput_dir: saves\n")
    run("plan", str(recipe), "--dataset", str(dataset))
    out = capsys.readouterr().out
    assert "notice       image_resolution: 512 is read as a side" in out
    assert yaml_in(out)["image_max_pixels"] == 262144


def test_a_recipe_on_the_cpu_is_one_process_unless_told(
    dataset: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("plan", "tiny_cpu", "--dataset", str(dataset))
    assert "NPROC_PER_NODE=1" in capsys.readouterr().out
    run("plan", "qwen2_vl_7b_lora", "--dataset", str(dataset))
    assert "NPROC_PER_NODE" not in capsys.readouterr().out


def test_nothing_is_started_or_written_and_nothing_that_trains_is_needed(
    dataset: Path, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    before = sorted(tmp_path.rglob("*"))
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            BARE,
            "plan",
            "tiny_cpu",
            "--dataset",
            str(dataset),
            "--output-dir",
            str(tmp_path / "out"),
        ],
        env={
            **os.environ,
            "HOME": str(home),
            "MAT_TRAINER_CACHE": str(home / "cache"),
            "PYTHONDONTWRITEBYTECODE": "1",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert f"output_dir: {tmp_path}/out" in done.stdout
    assert sorted(tmp_path.rglob("*")) == before


def test_a_far_dataset_is_planned_where_it_will_be_staged(
    dataset: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import fsspec

    monkeypatch.setenv("MAT_TRAINER_CACHE", "/cache")
    memory = fsspec.filesystem("memory")
    memory.pipe_file("/bucket/mat/manifest.json", (dataset / "manifest.json").read_bytes())
    try:
        run("plan", "qwen2_vl_7b_lora", "--dataset", "memory://bucket/mat")
    finally:
        memory.rm("/bucket", recursive=True)
    settings = yaml_in(capsys.readouterr().out)
    assert settings["dataset"] == "mat_parquet"
    assert str(settings["dataset_dir"]).startswith("/cache/")


@pytest.mark.parametrize(
    "words",
    [
        ["--nnodes", "2"],
        ["--set", "lerning_rate=1"],
        ["--set", "dataset=mat_test"],
    ],
)
def test_what_cannot_be_is_refused(dataset: Path, words: list[str]) -> None:
    with pytest.raises(ConfigError):
        run("plan", "qwen2_vl_7b_lora", "--dataset", str(dataset), *words)


def test_a_blank_in_the_output_folder_is_as_good_for_a_plan_as_for_a_run(
    dataset: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("plan", "tiny_cpu", "--dataset", str(dataset), "--output-dir", "/my runs") == 0
    out = capsys.readouterr().out
    assert "output_dir: /my runs" in out
    assert "-m mat_trainer.worker.train /tmp/mat-trainer/train.yaml" in out


def test_it_counts_steps_and_says_when_no_checkpoint_comes(
    dataset: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    published = ["plan", "qwen2_vl_7b_lora", "--dataset", str(dataset)]
    run(*published, "--nproc-per-node", "1")
    out = " ".join(capsys.readouterr().out.split())
    assert "steps 375; save_steps: 500 never comes in 375 steps" in out
    assert "--set save_steps=75" in out
    run(*published, "--set", "save_steps=75")
    out = " ".join(capsys.readouterr().out.split())
    assert "steps 375 with one GPU, and as many times fewer with more remote code" in out
    run(*published, "--set", "save_steps=75", "--set", "packing=true")
    assert "steps        not known before training" in capsys.readouterr().out


def test_a_tilde_is_the_home_everywhere(
    dataset: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("MAT_TRAINER_CACHE", "~/cache")
    recipe = tmp_path / "mine.yaml"
    recipe.write_text("model_name_or_path: ~/model\ntemplate: qwen2_vl\noutput_dir: ~/own\n")
    cases: list[tuple[list[str], str]] = [([], "own"), (["--output-dir", "~/given"], "given")]
    for more, output in cases:
        run("plan", "~/mine.yaml", "--dataset", "~/mat", *more)
        settings = yaml_in(capsys.readouterr().out)
        assert settings["model_name_or_path"] == str(tmp_path / "model")
        assert settings["dataset_dir"] == str(dataset)
        assert settings["output_dir"] == str(tmp_path / output)
    run("plan", "tiny_cpu", "--dataset", "~/mat")
    model = yaml_in(capsys.readouterr().out)["model_name_or_path"]
    assert str(model).startswith(f"{tmp_path}/cache/")


def test_presets_lists_each_with_model_and_template(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("presets") == 0
    out = capsys.readouterr().out
    for name in recipes.preset_names():
        assert name in out
    assert "Qwen/Qwen3-VL-8B-Instruct" in out
    assert "qwen3_vl_nothink" in out
