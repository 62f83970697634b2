"""The presets: what they hold, and what LLaMA-Factory's own parser makes of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mat_trainer.core import document, recipe
from mat_trainer.core.plan import DatasetFacts, bind

NAMES = recipe.preset_names()
# As they were published with the MAT data, but for the names of keys.
PUBLISHED = {
    "stage": "sft",
    "do_train": True,
    "finetuning_type": "lora",
    "lora_rank": 8,
    "lora_target": "all",
    "cutoff_len": 10240,
    "max_samples": 1000,
    "image_max_pixels": 262144,
    "video_max_pixels": 16384,
    "per_device_train_batch_size": 1,
    "gradient_accumulation_steps": 8,
    "learning_rate": 1e-4,
    "num_train_epochs": 3.0,
    "lr_scheduler_type": "cosine",
    "warmup_ratio": 0.1,
    "bf16": True,
    "logging_steps": 10,
    "save_steps": 500,
    "plot_loss": True,
    "trust_remote_code": True,
    "preprocessing_num_workers": 16,
    "overwrite_cache": True,
    "ddp_timeout": 180000000,
}
OLD = """\
model_name_or_path: Qwen/Qwen2-VL-7B-Instruct
image_resolution: 512
video_resolution: 128
evaluation_strategy: "no"
train_mm_proj_only: false
stage: sft
do_train: true
finetuning_type: lora
template: qwen2_vl
dataset: mat_train
learning_rate: 1e-4
output_dir: saves/old
use_cpu: true
"""
# Parses each file named on its command line as LLaMA-Factory does when it is started with it.
PARSE = """\
import json, sys
from llamafactory.extras import constants
from llamafactory.data.template import TEMPLATES
from llamafactory.hparams import parser
told = {}
for path in sys.argv[1:]:
    sys.argv = ["train", path]
    try:
        model, data, training, finetuning, _ = parser.get_train_args()
        told[path] = {
            **{key: getattr(model, key) for key in ("image_max_pixels", "video_max_pixels")},
            **{key: getattr(data, key) for key in ("template", "cutoff_len", "max_samples")},
            **{key: getattr(training, key) for key in ("learning_rate", "output_dir", "use_cpu")},
            **{key: getattr(finetuning, key) for key in ("finetuning_type", "lora_rank", "stage")},
        }
    except ValueError as error:
        told[path] = {"error": str(error)}
models = {
    group["hf"]: constants.DEFAULT_TEMPLATE[name]
    for name, group in constants.SUPPORTED_MODELS.items() if "hf" in group
}
json.dump({"parsed": told, "models": models, "templates": list(TEMPLATES)}, open("told.json", "w"))
"""


@pytest.mark.parametrize(
    ("name", "own"),
    [
        (
            "minicpm_v_2_6_lora",
            {
                "model_name_or_path": "openbmb/MiniCPM-V-2_6",
                "template": "minicpm_v",
                "output_dir": "saves/minicpm_v-2_6/lora/sft",
            },
        ),
        (
            "qwen2_vl_7b_lora",
            {
                "model_name_or_path": "Qwen/Qwen2-VL-7B-Instruct",
                "template": "qwen2_vl",
                "output_dir": "saves/qwen2_vl-7b/lora/sft",
            },
        ),
    ],
)
def test_the_published_recipes_are_what_was_published(name: str, own: dict[str, str]) -> None:
    assert recipe.load(name).settings == PUBLISHED | own


@pytest.mark.parametrize("name", NAMES)
def test_a_preset_says_what_it_is_and_needs_no_migration(name: str) -> None:
    loaded = recipe.load(name)
    assert loaded.about
    assert loaded.memory
    assert loaded.notices == ()
    assert loaded.settings["output_dir"]


def test_only_the_published_recipes_trust_remote_code() -> None:
    trusting = {name for name in NAMES if recipe.load(name).trusts_remote_code}
    assert trusting == {"minicpm_v_2_6_lora", "qwen2_vl_7b_lora"}


def test_only_the_tiny_recipe_has_no_model_and_trains_on_the_cpu() -> None:
    assert {name for name in NAMES if recipe.load(name).tiny_model} == {"tiny_cpu"}
    assert {name for name in NAMES if recipe.load(name).on_cpu} == {"tiny_cpu"}
    assert recipe.load("tiny_cpu").settings["bf16"] is False


def test_the_full_recipe_shards_everything_and_leaves_no_number_to_contradict() -> None:
    settings = recipe.load("qwen2_5_vl_7b_full").settings
    assert settings["finetuning_type"] == "full"
    assert settings["deepspeed"]["zero_optimization"]["stage"] == 3
    # What the settings say too must be "auto" here: transformers refuses two values for one thing.
    for key in (
        "train_batch_size",
        "train_micro_batch_size_per_gpu",
        "gradient_accumulation_steps",
    ):
        assert settings["deepspeed"][key] == "auto"


def test_the_recipe_for_pairs_goes_on_from_the_one_for_answers() -> None:
    answers, pairs = (recipe.load(f"qwen3_vl_8b_lora{end}").settings for end in ("", "_dpo"))
    own = {"stage", "create_new_adapter", "pref_beta", "pref_loss", "output_dir", "learning_rate"}
    assert {key for key in pairs if pairs[key] != answers.get(key)} == own
    assert set(answers) <= set(pairs)


@pytest.fixture(scope="module")
def told(warm: None, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What LLaMA-Factory says of every preset, and of an old file before and after."""
    folder = tmp_path_factory.mktemp("parse")
    dataset = DatasetFacts({"mat": 40}, "/data/mat", "/data/mat")
    texts = {"old-as-it-is": OLD}
    (folder / "old.yaml").write_text(OLD)
    texts["old"] = bind(recipe.load(str(folder / "old.yaml")), dataset, "/out").yaml()
    for name in NAMES:
        # The one thing that a machine without a GPU has to change: bf16 needs one, or use_cpu.
        plan = bind(recipe.load(name, ["use_cpu=true"]), dataset, f"/out/{name}", model="/tiny")
        # DeepSpeed is not part of the worker's environment, and its own check would end this.
        settings = {key: value for key, value in plan.settings.items() if key != "deepspeed"}
        texts[name] = document.write(settings)
    paths = []
    for name, text in texts.items():
        path = folder / f"{name}.bound.yaml"
        path.write_text(text)
        paths.append(str(path))
    (folder / "parse.py").write_text(PARSE)
    done = subprocess.run(
        [sys.executable, "parse.py", *paths],
        cwd=folder,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads((folder / "told.json").read_text())
    found["parsed"] = {
        Path(path).name[: -len(".bound.yaml")]: v for path, v in found["parsed"].items()
    }
    return found


@pytest.mark.worker
@pytest.mark.parametrize("name", NAMES)
def test_llama_factory_parses_it_as_it_is_meant(told: dict[str, Any], name: str) -> None:
    settings = recipe.load(name).settings
    parsed = told["parsed"][name]
    assert "error" not in parsed, parsed
    expected = settings | {"use_cpu": True, "output_dir": f"/out/{name}"}
    defaults = {"max_samples": None, "lora_rank": 8}
    assert parsed == {key: expected.get(key, defaults.get(key)) for key in parsed}


@pytest.mark.worker
@pytest.mark.parametrize("name", sorted(set(NAMES) - {"tiny_cpu"}))
def test_the_model_is_known_to_llama_factory_with_this_template(
    told: dict[str, Any], name: str
) -> None:
    settings = recipe.load(name).settings
    assert told["models"][settings["model_name_or_path"]] == settings["template"]


@pytest.mark.worker
def test_the_tiny_recipes_template_exists(told: dict[str, Any]) -> None:
    assert recipe.load("tiny_cpu").settings["template"] in told["templates"]


@pytest.mark.worker
def test_an_old_file_is_refused_as_it_is_and_taken_when_migrated(told: dict[str, Any]) -> None:
    refused = told["parsed"]["old-as-it-is"]["error"]
    for key in (
        "image_resolution",
        "video_resolution",
        "evaluation_strategy",
        "train_mm_proj_only",
    ):
        assert key in refused
    taken = told["parsed"]["old"]
    assert (taken["image_max_pixels"], taken["video_max_pixels"]) == (512 * 512, 128 * 128)
    assert taken["learning_rate"] == 1e-4
