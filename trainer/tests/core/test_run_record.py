from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mat_trainer.core import known_keys, recipe, run_record
from mat_trainer.core.run_record import Record, changes, parse, write

KNOWN = known_keys.shipped()
BEGUN = Record({"learning_rate": 1e-4, "lora_rank": 8, "stage": "sft"}, "mat")
VALUES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()


def changed(**settings: Any) -> list[str]:
    now = Record({**BEGUN.settings, **settings}, "mat")
    return [change.key for change in changes(BEGUN, now, KNOWN)]


@given(st.dictionaries(st.sampled_from(sorted(KNOWN.keys)), VALUES))
def test_what_is_written_is_read_and_is_no_change(settings: dict[str, Any]) -> None:
    record = Record(settings, "mat", "m" * 64, 8, True)
    read = parse(write(record))
    assert read == record
    assert changes(record, read, KNOWN) == []


def test_what_cannot_be_read_is_none() -> None:
    assert parse(b"{}") is None


@pytest.mark.parametrize(
    "settings",
    [
        {"lora_rank": 8},
        {"lora_alpha": None},
        {"weight_decay": 0.0},  # the default
        {"save_steps": 5, "logging_steps": 1, "report_to": "none", "output_dir": "/elsewhere"},
        {"dataloader_num_workers": 4, "preprocessing_num_workers": 9},
    ],
)
def test_what_is_the_same_run(settings: dict[str, Any]) -> None:
    assert changed(**settings) == []


@pytest.mark.parametrize(
    "key",
    """learning_rate lora_rank stage per_device_train_batch_size gradient_accumulation_steps
    weight_decay cutoff_len max_samples image_max_pixels template model_name_or_path seed bf16
    finetuning_type warmup_ratio lr_scheduler_type optim deepspeed max_steps num_train_epochs
    val_size packing freeze_vision_tower""".split(),
)
def test_what_is_another_run(key: str) -> None:
    assert changed(**{key: 77}) == [key]


def test_a_default_of_transformers_that_is_written_out_is_no_change() -> None:
    now = Record({**BEGUN.settings, "seed": 42, "lr_scheduler_type": "linear"}, "mat")
    assert changes(BEGUN, now, KNOWN) == []


def test_the_entry_and_the_models_files_count() -> None:
    settings = {"model_name_or_path": "/models/a"}
    begun = Record(settings, "mat", "a" * 64)
    (entry,) = changes(begun, Record(settings, "mat_parquet", "a" * 64), KNOWN)
    assert entry.words() == 'dataset was "mat" and is "mat_parquet"'
    (content,) = changes(begun, Record(settings, "mat", "b" * 64), KNOWN)
    assert content.key == "the content of /models/a"
    moved = Record({"model_name_or_path": "/models/b"}, "mat", "a" * 64)
    assert changes(begun, moved, KNOWN) == []


def test_every_free_key_is_one_of_llama_factorys() -> None:
    assert KNOWN.keys.keys() >= run_record._FREE
    assert set(run_record.LATER) <= KNOWN.keys.keys()


@pytest.mark.parametrize("name", recipe.preset_names())
def test_a_preset_is_itself(name: str) -> None:
    settings = recipe.load(name).settings
    assert changes(Record(settings, "mat"), Record(dict(settings), "mat"), KNOWN) == []
