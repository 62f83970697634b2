"""Recipes of LLaMA-Factory's examples that are not for training."""

from __future__ import annotations

from pathlib import Path

import pytest

from mat_trainer.core import recipe
from mat_trainer.core.errors import ConfigError

MODEL = "model_name_or_path: Qwen/Qwen2-VL-7B-Instruct\ntemplate: qwen2_vl\n"
# As in examples/ of LLaMA-Factory 0.9.5.
MERGE = f"{MODEL}adapter_name_or_path: saves/lora\nexport_dir: merged\nexport_size: 5\n"
PREDICT = f"{MODEL}stage: sft\ndo_predict: true\npredict_with_generate: true\noutput_dir: out\n"
EVALUATE = f"{MODEL}stage: sft\ndo_train: false\ndo_eval: true\nval_size: 0.1\noutput_dir: out\n"
CHAT = f"{MODEL}infer_backend: huggingface\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (MERGE, ("export_dir", "merging an adapter", "llamafactory-cli export")),
        (PREDICT, ("do_predict", "prediction", "llamafactory-cli train")),
        (EVALUATE, ("do_eval", "evaluation", "llamafactory-cli train")),
        (CHAT, ("infer_backend", "inference", "llamafactory-cli chat")),
    ],
)
def test_the_command_that_is_meant_is_named(
    tmp_path: Path, text: str, words: tuple[str, ...]
) -> None:
    file = tmp_path / "it.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        recipe.load(str(file))
    (fault,) = caught.value.faults
    assert all(word in fault for word in (*words, str(file)))
    assert recipe.load(str(file), ["do_train=true"]).settings["do_train"] is True


def test_a_recipe_that_only_does_not_say_it_trains(tmp_path: Path) -> None:
    file = tmp_path / "it.yaml"
    file.write_text(f"{MODEL}stage: sft\nfinetuning_type: lora\n")
    recipe.load(str(file))
