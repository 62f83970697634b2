from __future__ import annotations

from pathlib import Path

import pytest

from mat_trainer.core import recipe
from mat_trainer.core.errors import ConfigError
from mat_trainer.core.recipe import Data

OLD = """\
model_name_or_path: Qwen/Qwen2-VL-7B-Instruct
image_resolution: 262144
video_resolution: 16384
stage: sft
finetuning_type: lora
dataset: mat_train
dataset_dir: data
media_dir: data
template: qwen2_vl
output_dir: saves/mine
overwrite_output_dir: true
resume_from_checkpoint: null
learning_rate: 1e-4
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "mine.yaml"
    path.write_text(OLD)
    return path


def faults_of(name: str, *changes: str) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as raised:
        recipe.load(name, changes)
    return raised.value.faults


def test_an_old_file_gives_todays_settings(file: Path) -> None:
    loaded = recipe.load(str(file))
    assert loaded.name == "mine"
    assert loaded.settings == {
        "model_name_or_path": "Qwen/Qwen2-VL-7B-Instruct",
        "image_max_pixels": 262144,
        "video_max_pixels": 16384,
        "stage": "sft",
        "finetuning_type": "lora",
        "template": "qwen2_vl",
        "dataset": "mat_train",
        "output_dir": "saves/mine",
        "learning_rate": 1e-4,
    }


@pytest.mark.parametrize(
    "key",
    "image_resolution video_resolution dataset_dir media_dir output_dir "
    "overwrite_output_dir".split(),
)
def test_each_change_of_an_old_file_has_its_notice(file: Path, key: str) -> None:
    assert (
        sum(notice.startswith((f"{key}:", f"{key} ")) for notice in recipe.load(str(file)).notices)
        == 1
    )


def test_a_file_may_choose_an_entry_of_beam_mat(file: Path) -> None:
    file.write_text("dataset: mat_parquet\n")
    loaded = recipe.load(str(file))
    assert loaded.settings == {"dataset": "mat_parquet"}
    assert loaded.notices == ()
    assert loaded.data == Data(dataset="mat_parquet", is_of_file=True)


def test_set_chooses_the_entry_over_the_file(file: Path) -> None:
    loaded = recipe.load(str(file), ["dataset=mat_val"])
    assert loaded.settings["dataset"] == "mat_val"
    assert not loaded.data.is_of_file


def test_set_changes_adds_and_removes() -> None:
    plain = recipe.load("qwen2_vl_7b_lora").settings
    changed = recipe.load(
        "qwen2_vl_7b_lora", ["max_samples=null", "learning_rate=2e-5", "seed=7"]
    ).settings
    expected = {**plain, "learning_rate": 2e-5, "seed": 7}
    del expected["max_samples"]
    assert changed == expected


def test_set_takes_old_names_too() -> None:
    loaded = recipe.load("qwen2_vl_7b_lora", ["image_resolution=256"])
    assert loaded.settings["image_max_pixels"] == 256 * 256
    assert "image_resolution: 256 is read as a side" in loaded.notices[0]


def test_every_fault_is_told_at_once(file: Path) -> None:
    file.write_text("templte: qwen2_vl\ncutoff_len: long\nmat_trainer: {abuot: x}\n")
    faults = faults_of(str(file), "lora_rnk=4", "lora_rnk2=null", "seed")
    for words in (
        "templte",
        "cutoff_len",
        "mat_trainer",
        "lora_rnk:",
        "lora_rnk2",
        "seed",
    ):
        assert sum(words in fault for fault in faults) == 1, words
    assert len(faults) == 6


def test_removing_a_wrong_value_cures_it(file: Path) -> None:
    file.write_text("template: qwen2_vl\ncutoff_len: long\n")
    assert recipe.load(str(file), ["cutoff_len=null"]).settings == {"template": "qwen2_vl"}


def test_an_unknown_preset_is_told_with_the_nearest_and_the_list() -> None:
    (fault,) = faults_of("qwen2_vl_7b_lra")
    assert "the nearest is qwen2_vl_7b_lora" in fault
    assert "tiny_cpu" in fault


@pytest.mark.parametrize("name", ["absent.yaml", "./tiny_cpu", "folder/absent.yml"])
def test_what_looks_like_a_path_is_one(name: str) -> None:
    assert "no such file" in faults_of(name)[0]


def test_a_folder_is_no_recipe(tmp_path: Path) -> None:
    assert "cannot be read" in faults_of(str(tmp_path))[0]


def test_the_tiny_model_is_made_unless_another_is_named() -> None:
    assert recipe.load("tiny_cpu").tiny_model
    assert not recipe.load("tiny_cpu", ["model_name_or_path=/models/mine"]).tiny_model


def test_what_a_recipe_says_of_itself_is_not_among_its_settings() -> None:
    loaded = recipe.load("tiny_cpu")
    assert loaded.about
    assert loaded.memory
    assert recipe.ABOUT not in loaded.settings


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (["stage=dpo"], "the reference is a second copy of the model"),
        (
            ["stage=dpo", "finetuning_type=lora", "adapter_name_or_path=/sft"],
            "the reference is the model without it",
        ),
        (["stage=dpo", "finetuning_type=lora"], None),
        (["stage=dpo", "pref_loss=simpo"], None),
        (["stage=kto", "ref_model=/models/other"], None),
        ([], None),
    ],
)
def test_what_preferences_are_compared_with_is_told(
    changes: list[str], sentence: str | None
) -> None:
    notices = " ".join(recipe.load("tiny_cpu", changes).notices)
    assert sentence in notices if sentence else notices == ""
