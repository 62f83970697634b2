from __future__ import annotations

from typing import Any

import msgspec
import pytest

from mat_trainer.core import document
from mat_trainer.core.errors import ConfigError
from mat_trainer.core.plan import DatasetFacts, Plan, bind
from mat_trainer.core.recipe import Recipe

DATASET = DatasetFacts({"mat_parquet": 1000}, "/data/mat", "/data/mat")
RECIPE = Recipe("mine", {"model_name_or_path": "m", "template": "qwen2_vl", "output_dir": "saves"})


def bound(**settings: Any) -> Plan:
    recipe = msgspec.structs.replace(RECIPE, settings=RECIPE.settings | settings)
    return bind(recipe, DATASET, "/out")


def test_a_plan_is_the_recipe_and_what_the_launcher_decides() -> None:
    plan = bind(RECIPE, DATASET, "/out")
    assert list(plan.settings.items()) == [
        ("model_name_or_path", "m"),
        ("template", "qwen2_vl"),
        ("do_train", True),
        ("dataset", "mat_parquet"),
        ("dataset_dir", "/data/mat"),
        ("media_dir", "/data/mat"),
        ("output_dir", "/out"),
        ("overwrite_output_dir", False),
    ]
    assert document.read(plan.yaml(), "it") == plan.settings
    assert plan.log_dir == "/out/logs"


def test_the_recipe_is_not_changed() -> None:
    before = dict(RECIPE.settings)
    bind(RECIPE, DATASET, "/out", resume_from="/out/checkpoint-5")
    assert RECIPE.settings == before


def test_the_recipes_own_folder_is_fallen_back_on() -> None:
    assert bind(RECIPE, DATASET).output_dir == "saves"


def test_a_checkpoint_is_gone_on_from_without_overwriting() -> None:
    settings = bind(RECIPE, DATASET, "/out", resume_from="/out/checkpoint-5").settings
    assert settings["resume_from_checkpoint"] == "/out/checkpoint-5"
    assert settings["overwrite_output_dir"] is False


def test_starting_over_forgets_a_checkpoint_that_the_recipe_names() -> None:
    recipe = Recipe("mine", RECIPE.settings | {"resume_from_checkpoint": "/old"})
    assert bind(recipe, DATASET).settings["resume_from_checkpoint"] == "/old"
    settings = bind(recipe, DATASET, start_over=True).settings
    assert "resume_from_checkpoint" not in settings
    assert settings["overwrite_output_dir"] is True


def test_the_tiny_model_comes_first_and_only_where_none_is_named() -> None:
    bare = Recipe("tiny", {"template": "qwen2_vl", "output_dir": "saves"})
    assert next(iter(bind(bare, DATASET, model="/tiny").settings.items())) == (
        "model_name_or_path",
        "/tiny",
    )
    assert bind(RECIPE, DATASET, model="/tiny").settings["model_name_or_path"] == "m"


@pytest.mark.parametrize(
    ("settings", "used", "held_out"),
    [
        ({}, 1000, 0),
        ({"max_samples": 10}, 10, 0),
        ({"max_samples": 5000}, 1000, 0),
        ({"val_size": 0.1}, 900, 100),
        ({"max_samples": 10, "val_size": 0.25}, 7, 3),
        ({"val_size": 50}, 950, 50),
        ({"val_size": 1}, 999, 1),
    ],
)
def test_the_rows_that_are_trained_on_are_counted(
    settings: dict[str, Any], used: int, held_out: int
) -> None:
    plan = bound(**settings)
    assert (plan.rows, plan.used, plan.held_out) == (1000, used, held_out)


def test_max_samples_counts_for_each_entry() -> None:
    several = DatasetFacts({"mat": 1000, "mat_tools": 30}, "/data/mat", "/data/mat")
    recipe = msgspec.structs.replace(RECIPE, settings=RECIPE.settings | {"max_samples": 100})
    plan = bind(recipe, several, "/out")
    assert (plan.rows, plan.used, plan.settings["dataset"]) == (1030, 130, "mat,mat_tools")


@pytest.mark.parametrize(
    ("value", "uses"),
    [({"zero_optimization": {"stage": 3}}, True), ("ds.json", True), (None, False)],
)
def test_deepspeed_is_noticed(value: Any, uses: bool) -> None:
    assert bound(deepspeed=value).deepspeed is uses


def test_everything_that_is_missing_is_told_at_once() -> None:
    with pytest.raises(ConfigError) as raised:
        bind(
            Recipe("none", {"do_train": False}),
            DATASET,
            resume_from="/out/checkpoint-5",
            start_over=True,
        )
    begins = [fault.split()[0] for fault in raised.value.faults]
    assert begins == ["model_name_or_path", "output_dir", "do_train:", "/out/checkpoint-5"]
