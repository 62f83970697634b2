"""Every stage with rows of its own kind, from the records as published to a trained model."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from tests.conftest import ROOT, beam_mat_command, run_to_end
from tests.once import once
from tests.training import losses

from .test_run import ran, settings

SCHEMAS = ROOT.parent / "shared" / "schemas"
pytestmark = [
    pytest.mark.worker,
    pytest.mark.slow,
    pytest.mark.usefixtures("warm"),
    pytest.mark.skipif(not SCHEMAS.is_dir(), reason="needs shared/schemas beside the repository"),
]
LORA = {"finetuning_type": "lora", "lora_rank": 4, "lora_target": "all", "image_max_pixels": 3136}


@pytest.fixture(scope="module")
def kinds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset with plain rows, tools, pairs and labels."""

    def make(folder: Path) -> Path:
        labels = folder / "labels.json"
        labels.write_text(json.dumps([labelled(number) for number in range(6)]))
        shards = [labels, *(SCHEMAS / f"{name}.jsonl" for name in ("sport", "openai", "llava"))]
        output = folder / "kinds"
        words = ["--images", SCHEMAS / "images.zip", "--name", "kinds", "--output", output]
        run_to_end(beam_mat_command(), "convert", "--json", *map(str, [*shards, *words]))
        return output

    return once(tmp_path_factory, "kinds", make)


def labelled(number: int) -> dict[str, object]:
    """A record of ms-swift with a label: true and false in turn."""
    question = f"<image>Question {number}: which colour is on the left?"
    answer = "I cannot say." if number % 2 else "Blue."
    return {
        "messages": [
            {"role": "user", "content": question},
            {"role": "assistant", "content": answer},
        ],
        "images": ["media/left.jpg"],
        "label": number % 2 == 0,
    }


def trained(uri: Path, output: Path, **changes: object) -> str:
    """What `run` says of a training that has to succeed."""
    words = ["--dataset", uri, "--output-dir", output, *settings(**changes)]
    done = ran("run", "tiny_cpu", *words)
    assert done.returncode == 0, done.stdout + done.stderr
    found = losses(output)
    assert found
    assert all(math.isfinite(loss) for loss in found.values())
    return done.stderr


def test_rows_with_and_without_tools_are_trained_on_together(kinds: Path, tmp_path: Path) -> None:
    said = trained(kinds, tmp_path / "out", max_steps=6, max_samples="null")
    assert f"kinds,kinds_tools of {kinds}, 6 rows" in said
    assert "kinds_ranking is not trained on: its 2 rows have pairs of answers" in said
    assert sorted(losses(tmp_path / "out")) == list(range(1, 7))
    log = tmp_path.joinpath("out", "logs", "rank-00000.log").read_text()
    assert "Num examples = 6" in log


def test_many_rows_without_images_do_not_hinder_those_with_some(tmp_path: Path) -> None:
    """LLaMA-Factory fails if the first 1,000 rows that a process tokenizes have none."""
    turns = [{"role": "user", "content": "Which?"}, {"role": "assistant", "content": "Blue."}]
    image = {"type": "image_url", "image_url": {"url": "media/left.jpg"}}
    seen = [{"role": "user", "content": [image]}, turns[1]]
    texts = [{"messages": turns, "images": []}] * 1100
    records = {"texts": texts, "seen": [{"messages": seen}] * 4}
    for name, made in records.items():
        tmp_path.joinpath(f"{name}.json").write_text(json.dumps(made))
    words = ["--images", SCHEMAS / "images.zip", "--output", tmp_path / "mixed"]
    shards = [tmp_path / f"{name}.json" for name in records]
    run_to_end(beam_mat_command(), "convert", "--json", *map(str, [*shards, *words]))
    whole = {"max_samples": "null", "max_steps": 1, "preprocessing_num_workers": 2}
    said = trained(tmp_path / "mixed", tmp_path / "out", **whole)
    assert "mat_tools,mat of" in said
    log = tmp_path.joinpath("out", "logs", "rank-00000.log").read_text()
    assert "Num examples = 1,104" in log


def test_tools_alone_may_be_chosen_and_their_calls_are_read(kinds: Path, tmp_path: Path) -> None:
    said = trained(kinds, tmp_path / "out", max_steps=1, dataset="kinds_tools_parquet")
    assert f"kinds_tools_parquet of {kinds}, 3 rows" in said


def test_pairs_after_answers_with_a_new_adapter(kinds: Path, tmp_path: Path) -> None:
    """SFT, then DPO on top of its adapter: as long as nothing was learnt, the loss is log 2."""
    first, second = tmp_path / "sft", tmp_path / "dpo"
    trained(kinds, first, max_steps=1, **LORA)
    on_top = {"adapter_name_or_path": first, "create_new_adapter": "true"}
    said = trained(kinds, second, stage="dpo", max_steps=2, **LORA, **on_top)
    assert f"kinds_ranking of {kinds}, 2 rows" in said
    assert losses(second)[1] == pytest.approx(math.log(2), abs=1e-4)
    assert losses(second)[2] != losses(second)[1]
    assert f"--adapter_name_or_path {first},{second}" in said


def test_an_interrupted_dpo_goes_on_as_if_it_had_not_been(kinds: Path, tmp_path: Path) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    usual = {"stage": "dpo", "save_steps": 2, "lr_scheduler_type": "constant", **LORA}
    trained(kinds, whole, max_steps=4, **usual)
    trained(kinds, broken, max_steps=2, **usual)
    said = trained(kinds, broken, max_steps=4, **usual)
    assert f"resume       {broken}/checkpoint-2" in said
    assert losses(broken) == pytest.approx(losses(whole), abs=1e-4)


def test_labelled_answers_are_trained_on(kinds: Path, tmp_path: Path) -> None:
    said = trained(kinds, tmp_path / "out", stage="kto", max_steps=2)
    assert f"kinds_kto_tools of {kinds}, 6 rows" in said
    assert "the reference is a second copy of the model" in said


def test_a_reward_model_is_trained_on_pairs(kinds: Path, tmp_path: Path) -> None:
    said = trained(kinds, tmp_path / "out", stage="rm", max_steps=2, **LORA)
    assert f"kinds_ranking of {kinds}, 2 rows" in said
    assert "llamafactory-cli chat" not in said


@pytest.mark.parametrize("command", ["run", "check", "plan"])
def test_an_entry_of_another_stage_is_refused_before_anything_is_loaded(
    kinds: Path, tmp_path: Path, command: str
) -> None:
    words = ["--dataset", kinds, "--output-dir", tmp_path / "out"]
    done = ran(command, "tiny_cpu", *words, *settings(dataset="kinds_ranking"))
    assert done.returncode == 2
    assert (
        "dataset kinds_ranking: it has pairs of answers (chosen, rejected), which stage sft does "
        "not train on; use a recipe of stage dpo or rm, or choose kinds,kinds_tools"
    ) in done.stderr
    assert not tmp_path.joinpath("out").exists()
