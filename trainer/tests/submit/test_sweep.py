from __future__ import annotations

import argparse

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mat_trainer.submit import job as jobs_of
from mat_trainer.submit import sweep
from tests.submit import jobs


def test_without_texts_there_is_one_job_as_it_was_typed() -> None:
    args = argparse.Namespace(name=None)
    assert sweep.variations([], []) == [()]
    assert sweep.applied(args, ()) is args


def test_every_combination_has_its_settings_its_folder_and_its_name() -> None:
    found: list[str] = []
    varied = sweep.variations(["learning_rate=1e-4, 2e-4", "lora_rank=8,16"], found)
    assert found == []
    args = argparse.Namespace(name=None, recipe="tiny_cpu", set=["a=1"], output_dir="/out/")
    made = [sweep.applied(args, one) for one in varied]
    assert [one.output_dir for one in made] == [
        "/out/learning_rate-1e_4.lora_rank-8",
        "/out/learning_rate-1e_4.lora_rank-16",
        "/out/learning_rate-2e_4.lora_rank-8",
        "/out/learning_rate-2e_4.lora_rank-16",
    ]
    assert made[1].set == ["a=1", "learning_rate=1e-4", "lora_rank=16"]
    assert made[1].name == "tiny-cpu-1e-4-16"


@pytest.mark.parametrize("text", ["lora_rank", "=8", "lora_rank=", "lora_rank=8,", "lora_rank=8,8"])
def test_what_is_no_sweep_is_told(text: str) -> None:
    found: list[str] = []
    sweep.variations([text], found)
    assert found[0].startswith(f"--sweep {text}: ")


def test_a_key_twice_and_too_many_are_told() -> None:
    found: list[str] = []
    many = ",".join(map(str, range(9)))
    sweep.variations([f"seed={many}", f"seed={many}"], found)
    assert len(found) == 2


@given(st.text(min_size=1, max_size=60), st.lists(st.text(max_size=30), min_size=1, max_size=3))
def test_a_name_is_one_that_clusters_take(recipe: str, values: list[str]) -> None:
    args = argparse.Namespace(name=None, recipe=recipe, set=[], output_dir="/out")
    made = sweep.applied(args, tuple(("key", value) for value in values))
    if made.name:
        assert jobs_of.faults(jobs.changed(name=made.name)) == []
