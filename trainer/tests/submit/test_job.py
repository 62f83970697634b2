from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mat_trainer.submit import job as jobs_of
from tests.submit import jobs


def test_a_good_job_has_no_faults() -> None:
    assert jobs_of.faults(jobs.JOB) == []


def test_every_fault_of_a_job_is_told() -> None:
    bad = jobs.changed(
        name="Menus_1",
        nodes=0,
        gpus=-1,
        cpus=0,
        memory=0,
        time_to_save=5,
        dataset="gs://b/\nmat",
        output_dir="gs://bucket/out",
    )
    assert [re.split("[ :]", fault)[0] for fault in jobs_of.faults(bad)] == [
        "--name",
        "--nodes",
        "--gpus-per-node",
        "--cpus-per-node",
        "--memory-per-node",
        "--time-to-save",
        "--dataset",
        "--output-dir",
    ]


@settings(deadline=None)
@given(st.from_regex(r"[a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?", fullmatch=True))
def test_what_clusters_take_as_a_name_is_taken(name: str) -> None:
    assert jobs_of.faults(jobs.changed(name=name)) == []


@pytest.mark.parametrize("name", ["", "-a", "a-", "a_b", "A", "a" * 41, "é", "a\n"])
def test_what_they_do_not_take_is_told(name: str) -> None:
    (fault,) = jobs_of.faults(jobs.changed(name=name))
    assert fault.startswith("--name ")


@settings(deadline=None)
@given(st.text())
def test_a_name_out_of_a_recipe_is_one_or_empty(recipe: str) -> None:
    name = jobs_of.name_of(recipe)
    assert not name or jobs_of.faults(jobs.changed(name=name)) == []


@pytest.mark.parametrize("gpus", [0, 1, 8])
def test_a_process_trains_on_each_gpu_and_one_without(gpus: int) -> None:
    words = [word for group in jobs_of.words(jobs.changed(gpus=gpus), "/x") for word in group]
    assert words[words.index("--nproc-per-node") + 1] == str(gpus or 1)


def test_a_users_recipe_is_named_where_it_lies_on_the_nodes() -> None:
    mine = jobs.changed(recipe="mine.yaml", recipe_text="stage: sft\n")
    assert jobs_of.words(mine, "/etc/x")[0] == ("mat-trainer", "run", "/etc/x/mine.yaml")
    assert jobs_of.words(jobs.JOB, "/etc/x")[0] == ("mat-trainer", "run", "qwen2_vl_7b_lora")


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ((("1A", "x"),), "--env 1A: must be NAME=VALUE"),
        ((("HF_TOKEN", "hf_secret"),), "--env HF_TOKEN: a secret must not be in a job file"),
        ((("A", "x\nexport B=1"),), "--env A: the value has an unprintable character"),
        ((("A", "x"), ("A", "y")), "--env A is given twice"),
    ],
)
def test_what_is_no_variable_is_told(environment: tuple[tuple[str, str], ...], words: str) -> None:
    (fault,) = jobs_of.faults(jobs.changed(environment=environment))
    assert fault.startswith(words)
    assert "hf_secret" not in fault


def test_pairs_are_read_and_others_told() -> None:
    found: list[str] = []
    assert jobs_of.pairs("--env", ["A=", "B=c=d", "E", "=f"], found) == (("A", ""), ("B", "c=d"))
    assert [fault.split(":")[0] for fault in found] == ["--env E", "--env "]
