"""The command as a user types it; programs of clusters are stood in for."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from mat_trainer.core.errors import ConfigError, MatTrainerError
from tests.dataset.server import serving
from tests.submit.conftest import StandIn, stand_in
from tests.submit.jobs import run

if TYPE_CHECKING:
    from tests.dataset.watched import Watched

__all__ = ["stand_in"]  # the fixture

SECRET = "hf_do_not_tell_me"
TARGETS = {
    "slurm": [],
    "kubernetes": ["--image", "image:1", "--mount", "claim=/out", "--secret", "hub"],
    "skypilot": [
        *("--image", "image:1", "--mount", "gs://bucket=/out"),
        *("--secret", "HF_TOKEN", "--accelerator", "H100"),
    ],
}
# Stands in for kubectl, sbatch or sky: notes its words, its input and the file that it is given.
CLIENT = """
import json, os, pathlib, sys
note = pathlib.Path(os.environ["NOTE"])
text = "" if sys.stdin.isatty() or sys.argv[1] == "jobs" else sys.stdin.read()
if sys.argv[-1].endswith((".yaml", ".sbatch")):
    text = pathlib.Path(sys.argv[-1]).read_text()
with note.open("a") as file:
    file.write(json.dumps([sys.argv[1:], text]) + "\\n")
print(os.environ.get("ANSWER", "41"))
"""


@pytest.fixture
def notes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stand_in: StandIn) -> Any:
    """What the clusters' programs were called with: (words, text) each."""
    note = tmp_path / "note"
    note.touch()
    monkeypatch.setenv("NOTE", str(note))
    for name in ("kubectl", "sbatch", "sky"):
        stand_in(name, CLIENT)
    return lambda: [tuple(json.loads(line)) for line in note.read_text().splitlines()]


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    file = tmp_path / "My Recipe.yaml"
    file.write_text("model_name_or_path: /models/mine\ntemplate: qwen2_vl\nstage: sft\n")
    return file


@pytest.mark.parametrize("to", TARGETS)
def test_a_dry_run_prints_the_file_and_does_nothing(
    to: str, tmp_path: Path, notes: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    output = str(tmp_path / "out") if to == "slurm" else "/out/menus"
    words = ["tiny_cpu", "--dataset", "gs://b/mat", "--output-dir", output, *TARGETS[to]]
    assert run(*words, "--to", to, "--dry-run") == 0
    text = capsys.readouterr().out
    assert "mat-trainer" in text
    if to != "slurm":
        assert list(yaml.safe_load_all(text))
    assert notes() == []
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("to", TARGETS)
@pytest.mark.parametrize("is_dry", [True, False])
def test_a_tokens_value_is_nowhere(
    to: str,
    is_dry: bool,
    tmp_path: Path,
    notes: Any,
    recipe: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("HF_TOKEN", SECRET)
    output = str(tmp_path / "out") if to == "slurm" else "/out/menus"
    words = [str(recipe), "--dataset", "gs://b/mat", "--output-dir", output, *TARGETS[to]]
    assert run(*words, "--to", to, *(["--dry-run"] if is_dry else [])) == 0
    said = capfd.readouterr()
    assert bool(notes()) is not is_dry
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert not [path for path in files if SECRET.encode() in path.read_bytes()]
    assert SECRET not in said.out + said.err


@pytest.mark.parametrize("to", TARGETS)
@pytest.mark.parametrize("place", ["recipe", "set", "dataset", "run name"])
def test_a_token_that_was_put_somewhere_is_refused_and_not_repeated(
    to: str, place: str, notes: Any, recipe: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", SECRET)
    if place == "recipe":
        recipe.write_text(f"{recipe.read_text()}hf_hub_token: {SECRET}\n")
    words = [str(recipe), "--output-dir", "/out/menus", *TARGETS[to], "--to", to]
    words += ["--dataset", f"s3://me:{SECRET}@host/mat" if place == "dataset" else "gs://b/mat"]
    if place == "set":
        words += ["--set", f"hf_hub_token={SECRET}"]
    if place == "run name":
        words += ["--set", f"run_name=x{SECRET}"]
    with pytest.raises(ConfigError) as caught:
        run(*words)
    assert SECRET not in str(caught.value)
    assert notes() == []


def test_every_fault_is_told_at_once(notes: Any) -> None:
    words = ["--dataset", "/data/mat", "--output-dir", "/out", "--to", "kubernetes", "--nodes", "0"]
    words += ["--partition", "gpu", "--mount", "claim", "--set", "learning_rat=1"]
    with pytest.raises(ConfigError) as caught:
        run("tiny_cpu", *words)
    text = str(caught.value)
    for fault in (
        "--partition: only for slurm; remove it",
        "learning_rat",
        "--nodes 0: ",
        "--mount claim: ",
        "--output-dir /out: not on a mounted volume",
        "--dataset /data/mat: not on a mounted volume",
        "--image is missing",
    ):
        assert fault in text
    assert notes() == []


def test_an_unknown_preset_is_told(notes: Any) -> None:
    with pytest.raises(ConfigError, match="qwen2_vl_7b_lora"):
        run("qwen2_vl_7b_lor", "--dataset", "gs://b/m", "--output-dir", "/out", "--to", "slurm")


def test_a_recipe_that_is_not_there_is_told(notes: Any) -> None:
    with pytest.raises(ConfigError, match=r"mine\.yaml"):
        run("mine.yaml", "--dataset", "gs://b/m", "--output-dir", "/out", "--to", "slurm")


def test_kubectl_gets_the_recipe_and_then_the_job(
    notes: Any, recipe: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--dataset", "gs://b/mat", "--output-dir", "/out/menus", *TARGETS["kubernetes"]]
    assert run(str(recipe), *words, "--to", "kubernetes", "--namespace", "team") == 0
    (first, config), (second, job) = notes()
    assert first == ["apply", "-f", "-"]
    assert second == ["create", "-f", "-"]
    config, job = yaml.safe_load(config), yaml.safe_load(job)
    assert (config["kind"], job["kind"]) == ("ConfigMap", "PyTorchJob")
    assert job["metadata"] == {"name": "my-recipe", "namespace": "team"}
    assert config["data"] == {"My_Recipe.yaml": recipe.read_text()}
    assert "kubectl logs --namespace team" in capsys.readouterr().out


def test_a_jobset_of_a_preset_needs_no_config_map(notes: Any) -> None:
    words = ["--dataset", "gs://b/mat", "--output-dir", "/out/menus", *TARGETS["kubernetes"]]
    assert run("tiny_cpu", *words, "--to", "kubernetes", "--kind", "jobset") == 0
    ((words, job),) = notes()
    assert words == ["create", "-f", "-"]
    assert yaml.safe_load(job)["kind"] == "JobSet"


def test_sky_gets_a_task_with_the_recipe_and_the_names_of_secrets(
    notes: Any, recipe: Path, tmp_path: Path
) -> None:
    words = ["--dataset", "gs://b/mat", "--output-dir", "/out/menus", *TARGETS["skypilot"]]
    assert run(str(recipe), *words, "--to", "skypilot") == 0
    (((*words, file), text),) = notes()
    assert words == ["jobs", "launch", "--yes", "--detach-run", "--secret", "HF_TOKEN"]
    assert not Path(file).exists()  # it was for sky alone
    files = yaml.safe_load(text)["file_mounts"]
    assert [path for path in files.values() if isinstance(path, str)] == [str(recipe)]


def test_sbatch_gets_the_file_and_the_user_what_to_do_next(
    notes: Any, recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setenv("ANSWER", "41;west")  # with several clusters, sbatch names its own
    monkeypatch.chdir(tmp_path)
    words = ["--dataset", "mat", "--output-dir", "out", "--to", "slurm"]
    assert run(str(recipe), *words) == 0
    ((words, text),) = notes()
    assert words == ["--parsable", str(tmp_path / "out" / "submit" / "job.sbatch")]
    assert f"--dataset {tmp_path}/mat\n" in text
    assert (tmp_path / "out" / "submit" / "My_Recipe.yaml").read_text() == recipe.read_text()
    said = capsys.readouterr().out
    assert said.startswith("submitted as job 41\n")
    assert f"{tmp_path}/out/submit/slurm-41.log" in said


@pytest.mark.parametrize("to", ["slurm", "kubernetes"])
def test_the_generation_that_is_the_newest_now_is_written_into_the_job(
    to: str, watched: Watched, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = str(tmp_path / "out") if to == "slurm" else "/out/menus"
    words = ["tiny_cpu", "--output-dir", output, *TARGETS[to], "--to", to, "--dry-run"]
    with serving(watched.folder) as server:
        for uri in (server.uri, *([str(watched.folder)] if to == "slurm" else [])):
            for typed, pinned in ((uri, "@3"), (f"{uri}@latest", "@3"), (f"{uri}@2", "@2")):
                assert run(*words, "--dataset", typed) == 0
                assert f"{uri}{pinned}" in capsys.readouterr().out
        with pytest.raises(ConfigError, match="no such generation; generations 1 to 3 are kept"):
            run(*words, "--dataset", f"{server.uri}@9")


def test_a_dataset_without_an_entry_for_the_stage_is_refused(
    watched: Watched, tmp_path: Path, notes: Any
) -> None:
    words = ["tiny_cpu", "--output-dir", str(tmp_path), "--to", "slurm", "--set", "stage=dpo"]
    with pytest.raises(ConfigError, match="stage dpo: the dataset has no entry for it, but mat"):
        run(*words, "--dataset", str(watched.folder))
    assert notes() == []


def test_where_the_dataset_is_not_seen_the_job_settles_on_a_generation(
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ["tiny_cpu", "--output-dir", "/out/menus", *TARGETS["kubernetes"], "--dry-run"]
    assert run(*words, "--to", "kubernetes", "--dataset", "/out/mat@latest") == 0
    assert "/out/mat@latest" in capsys.readouterr().out
    assert run(*words, "--to", "kubernetes", "--dataset", "memory://nothing/here") == 0
    said = capsys.readouterr()
    assert "memory://nothing/here\n" in said.out
    assert "The job itself will choose the generation" in said.err


@pytest.mark.parametrize(("to", "program"), [("kubernetes", "kubectl"), ("skypilot", "sky")])
def test_a_program_that_is_not_here_is_named(
    to: str, program: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    words = ["--dataset", "gs://b/mat", "--output-dir", "/out/menus", *TARGETS[to], "--to", to]
    with pytest.raises(MatTrainerError, match=f"^{program}: no such program"):
        run("tiny_cpu", *words)


def test_what_a_program_says_when_it_fails_is_told(notes: Any, stand_in: Any) -> None:
    stand_in("kubectl", "import sys\nsys.exit('pytorchjobs.kubeflow.org \"x\" already exists')")
    words = ["--dataset", "gs://b/mat", "--output-dir", "/out/menus", *TARGETS["kubernetes"]]
    with pytest.raises(MatTrainerError, match=re.escape('"x" already exists')):
        run("tiny_cpu", *words, "--to", "kubernetes")


def test_a_folder_that_cannot_be_written_is_named(notes: Any, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    output = str(tmp_path / "file" / "out")
    with pytest.raises(MatTrainerError, match="cannot be written"):
        run("tiny_cpu", "--dataset", "gs://b/mat", "--output-dir", output, "--to", "slurm")
    assert notes() == []


def test_a_sweep_is_a_job_for_each_value_or_none(
    notes: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "out"
    words = ["tiny_cpu", "--dataset", "gs://b/mat", "--output-dir", str(output), "--to", "slurm"]
    with pytest.raises(ConfigError, match="lora_rang"):
        run(*words, "--sweep", "lora_rang=8,16")
    assert notes() == []
    assert run(*words, "--sweep", "lora_rank=8,16") == 0
    assert [Path(called[-1]).parts[-3] for called, _ in notes()] == ["lora_rank-8", "lora_rank-16"]
    for (_, text), rank in zip(notes(), (8, 16), strict=True):
        assert f"--set lora_rank={rank}" in text
        assert f"--output-dir {output}/lora_rank-{rank}" in text
    assert capsys.readouterr().out.count("submitted as job 41") == 2


def test_a_slurm_job_names_the_command_by_its_path_unless_its_setup_does(
    notes: Any, tmp_path: Path, stand_in: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = stand_in("mat-trainer", "")
    words = ["tiny_cpu", "--dataset", "gs://b/mat", "--output-dir", str(tmp_path), "--to", "slurm"]
    assert run(*words) == 0
    assert run(*words, "--setup", "source env/bin/activate") == 0
    typed = tmp_path / "a venv" / "mat-trainer"
    typed.parent.mkdir()
    typed.touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["a venv/mat-trainer"])
    assert run(*words) == 0
    texts = [text for _, text in notes()]
    assert f"\n  {command} run tiny_cpu\n" in texts[0]
    assert "\n  mat-trainer run tiny_cpu\n" in texts[1]
    assert f"\n  '{typed}' run tiny_cpu\n" in texts[2]
