"""Lengths against LLaMA-Factory's own, and what they are for: training that does not break off."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mat_trainer.core.errors import ConfigError, PreflightError
from mat_trainer.core.lengths import SETTINGS, UNKNOWN, Lengths, cutoff, over
from mat_trainer.core.recipe import Data
from mat_trainer.core.subset import columns
from mat_trainer.dataset.filtered import leave_out
from mat_trainer.dataset.lengths import measure
from mat_trainer.dataset.progress import silent
from mat_trainer.dataset.stage import StagedDataset, stage
from tests import training
from tests.conftest import ROOT

pytestmark = [pytest.mark.worker, pytest.mark.slow, pytest.mark.usefixtures("warm")]
pytest.importorskip("pyarrow", reason="comes with the extra worker")

from tests.dataset.making import make, rows_of  # noqa: E402 needs pyarrow

REFERENCE = Path(__file__).with_name("reference.py")
CUTOFF = 600
LONG = 3
BUDGET = 50176
GOLDEN = ROOT / "tests" / "golden" / "schemas"


def shortened(row: dict[str, Any]) -> dict[str, Any]:
    """A row with its first question and the begin of its answer, and no system prompt."""
    question, answer = row["messages"][:2]
    assert question["content"].count("<image>") == len(row["images"])
    return {
        **row,
        "messages": [question, {**answer, "content": answer["content"][:200]}],
        "system": "",
    }


@pytest.fixture(scope="module")
def small(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight short rows, of which row `LONG` has a text that is too long before its image.

    And a part that has no such row, so that a filtered copy only links it.
    """
    firsts = [(row, row["messages"][0]["content"]) for row in rows_of(dataset)]
    fit = [r for r, text in firsts if text.count("<image>") == len(r["images"]) and len(text) < 400]
    rows = [shortened(row) for row in fit[:10]]
    rows, others = rows[:8], rows[8:]
    rows.sort(key=lambda row: -len(row["images"]))
    question = rows[LONG]["messages"][0]
    assert rows[LONG]["images"]
    question["content"] = "look closer " * CUTOFF + question["content"]
    return make(dataset, tmp_path_factory.mktemp("small") / "mat", {"part": rows, "other": others})


@pytest.fixture(scope="module")
def settings(tiny_model: Path) -> dict[str, Any]:
    return {
        "model_name_or_path": str(tiny_model),
        "template": "qwen2_vl",
        "image_max_pixels": BUDGET,
        "cutoff_len": CUTOFF,
        "preprocessing_num_workers": 2,
    }


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def staged(small: Path, cache: Path) -> StagedDataset:
    """Both formats: one to train on, the other to evaluate on."""
    return stage(str(small), cache, Data(dataset="mat", evaluation="mat_parquet"), show=silent)


@pytest.fixture(scope="module")
def measured(staged: StagedDataset, settings: dict[str, Any], cache: Path) -> Lengths:
    return measure(staged, settings, cache, show=silent)


@pytest.fixture(scope="module")
def reference(
    small: Path, settings: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> Any:
    places = {"dataset_dir": str(small), "dataset": "mat", "eval_dataset": "mat_parquet"}
    return answers(tmp_path_factory.mktemp("reference"), settings | places)


def answers(folder: Path, settings: dict[str, Any]) -> Any:
    """LLaMA-Factory's own."""
    asked = {**settings, "cutoff_len": 1 << 20, "preprocessing_num_workers": None}
    (folder / "settings.json").write_text(json.dumps(asked))
    words = [sys.executable, str(REFERENCE), str(folder / "settings.json"), str(folder / "a.json")]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads((folder / "a.json").read_bytes())


@pytest.mark.parametrize(
    ("stage_", "kind", "column"),
    [("dpo", "ranking", "chosen"), ("kto", "kto_tools", "kto_tag"), ("sft", "tools", "tools")],
)
def test_rows_of_other_kinds_are_measured_as_their_stage_encodes_them(
    settings: dict[str, Any], cache: Path, tmp_path: Path, stage_: str, kind: str, column: str
) -> None:
    data = Data(stage_, dataset=f"agents_{kind}", evaluation=f"agents_{kind}_parquet")
    found = stage(str(GOLDEN), cache, data, show=silent)
    measured = measure(found, settings, cache, show=silent)
    assert measured.faults == ()
    places = {"dataset_dir": str(found.path), "media_dir": str(found.media_dir)}
    asked = {**settings, **places, "dataset": data.dataset, "eval_dataset": data.evaluation}
    told = answers(tmp_path, asked | {"stage": "rm" if stage_ == "dpo" else stage_})["lengths"]
    for entry, dataset in zip(found.entries, ("train_dataset", "eval_dataset"), strict=True):
        assert column in columns(entry.subset)
        assert [n for p in entry.parts for n in measured.parts[p.path].tokens] == told[dataset]
        counts = [n for p in entry.parts for n in measured.parts[p.path].answers]
        assert all(0 < n < 20 for n in counts) if stage_ == "kto" else not any(counts)


def test_lengths_are_those_of_llama_factorys_own_dataset(
    small: Path, measured: Lengths, reference: Any
) -> None:
    assert measured.faults == ()
    told = {"jsonl": "train_dataset", "parquet": "eval_dataset"}
    for folder, dataset in told.items():
        # LLaMA-Factory reads parts as the folder lists them.
        parts = [measured.parts[f"{folder}/{name}"] for name in os.listdir(small / folder)]
        assert [tokens for part in parts for tokens in part.tokens] == reference["lengths"][dataset]
    jsonl, parquet = (measured.parts[f"{folder}/part.{folder}"] for folder in told)
    assert jsonl == parquet
    assert len(set(jsonl.tokens)) > 4


def test_an_images_size_tells_as_much_as_its_pixels(reference: Any) -> None:
    with_pixels, by_size = reference["texts"]
    assert with_pixels == by_size
    assert len(set(with_pixels)) > 4


def test_every_setting_that_lengths_depend_on_is_passed_on(reference: Any) -> None:
    """Each of LLaMA-Factory's is either passed on, or known not to matter."""
    known = {
        "DataArguments": """dataset eval_dataset dataset_dir media_dir cutoff_len streaming
            buffer_size mix_strategy interleave_probs overwrite_cache preprocessing_batch_size
            preprocessing_num_workers max_samples eval_num_beams ignore_pad_token_for_loss val_size
            eval_on_each_dataset packing neat_packing tokenized_path data_shared_file_system""",
        "ProcessorArguments": "",
        "BaseModelArguments": """adapter_name_or_path adapter_folder init_special_tokens
            low_cpu_mem_usage rope_scaling flash_attn shift_attn mixture_of_depths use_unsloth
            use_unsloth_gc enable_liger_kernel moe_aux_loss_coef disable_gradient_checkpointing
            use_reentrant_gc upcast_layernorm upcast_lmhead_output train_from_scratch infer_backend
            offload_folder use_kv_cache use_v1_kernels infer_dtype hf_hub_token ms_hub_token
            om_hub_token print_param_status""",
    }
    for kind, names in known.items():
        assert sorted(set(reference["fields"][kind]) - set(SETTINGS)) == sorted(names.split())


def test_what_was_measured_is_not_measured_again(
    staged: StagedDataset,
    settings: dict[str, Any],
    cache: Path,
    measured: Lengths,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class StartedError(Exception):
        pass

    def started(*words: object, **more: object) -> None:
        raise StartedError

    monkeypatch.setattr(subprocess, "Popen", started)
    unlike = {**settings, "cutoff_len": 7, "learning_rate": 1e-3}
    assert measure(staged, unlike, cache, show=silent) == measured
    with pytest.raises(StartedError):
        measure(staged, {**settings, "image_max_pixels": 784}, cache, show=silent)


def train(
    dataset: StagedDataset, settings: dict[str, Any], output: Path
) -> subprocess.CompletedProcess[str]:
    """One epoch over the entry to train on, each row a step."""
    of_test = training.settings(
        Path(settings["model_name_or_path"]), dataset.path, dataset.media_dir, output
    )
    more = {"dataset": dataset.name, "num_train_epochs": 1, "max_steps": -1}
    whole = {**of_test, **settings, **more, "preprocessing_num_workers": 1}
    yaml = training.write(whole, output / "run.yaml")
    return training.train(yaml, training.environment(output))


def test_a_row_over_the_cutoff_breaks_training(
    staged: StagedDataset, settings: dict[str, Any], tmp_path: Path
) -> None:
    done = train(staged, settings, tmp_path)
    assert done.returncode != 0
    logs = "".join(path.read_text() for path in (tmp_path / "logs").iterdir())
    assert "Image features and image tokens do not match" in done.stdout + done.stderr + logs


@pytest.mark.parametrize("name", ["mat", "mat_parquet"])
def test_without_it_training_ends_well(
    small: Path,
    name: str,
    measured: Lengths,
    settings: dict[str, Any],
    cache: Path,
    tmp_path: Path,
) -> None:
    found = over(measured, cutoff(settings))
    dataset = stage(str(small), cache, Data(dataset=name), show=silent)
    part = next(p.path for p in dataset.training[0].parts if "part" in Path(p.path).name)
    assert found.long[part] == {LONG}
    assert found.with_images == 2  # the row in each format
    copy = leave_out(dataset, {part: found.long[part]}, cache, show=silent)
    assert [file.is_symlink() for file in sorted((copy.path / part).parent.iterdir())] == [
        True,
        False,
    ]
    done = train(copy, settings, tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "all_results.json").read_bytes())["train_loss"] > 0
    state = json.loads((tmp_path / "trainer_state.json").read_bytes())
    assert (
        state["global_step"]
        == copy.training[0].rows
        == dataset.training[0].rows - found.count() // 2
    )


def test_rows_that_llama_factory_fails_on_are_faults(
    dataset: Path, settings: dict[str, Any], tmp_path: Path
) -> None:
    single = [row for row in rows_of(dataset) if len(row["images"]) == 1]
    by_image = {row["images"][0]: row for row in single}  # rows may share an image
    rows = [shortened(row) for row in by_image.values()][:4]
    rows[0]["messages"][0]["content"] += "<image>"
    rows[1]["messages"][1]["role"] = "user"
    made = make(dataset, tmp_path / "mat", {"part": rows})
    (found,) = [stage(str(made), tmp_path / "cache", Data(dataset="mat"), show=silent)]
    made.joinpath(rows[2]["images"][0]).unlink()
    measured = measure(found, settings, tmp_path / "cache", show=silent)
    tokens = measured.parts["jsonl/part.jsonl"].tokens
    assert [length == UNKNOWN for length in tokens] == [True, True, True, False]
    assert measured.fault_count == 3
    for row, (fault, why) in enumerate(
        zip(measured.faults, ("number of images", "do not alternate", "No such file"), strict=True)
    ):
        assert fault.startswith(f"jsonl/part.jsonl, row {row}: ")
        assert why in fault


def test_a_model_that_cannot_be_loaded_is_told(
    staged: StagedDataset, settings: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "model").mkdir()
    broken = {**settings, "model_name_or_path": str(tmp_path / "model")}
    with pytest.raises(PreflightError, match=r"\(exit code 1\): ValueError: Unrecognized model"):
        measure(staged, broken, tmp_path, show=silent)


def test_a_recipe_without_a_model_is_told(staged: StagedDataset, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="model_name_or_path is missing"):
        measure(staged, {}, tmp_path, show=silent)
