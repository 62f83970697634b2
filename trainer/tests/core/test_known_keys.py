from __future__ import annotations

from typing import Any

import pytest

from mat_trainer.core import known_keys
from mat_trainer.core.known_keys import SECRETS, Key, KnownKeys

KNOWN = KnownKeys(
    "0.9.5",
    "4.57.6",
    {
        "learning_rate": Key(("float",), default=5e-05),
        "max_samples": Key(("int", "null")),
        "bf16": Key(("bool",), default=False),
        "eval_strategy": Key(("str",), ("no", "steps", "epoch"), "no"),
        "report_to": Key(("list", "null", "str")),
        "hf_hub_token": Key(("null", "str")),
    },
)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("learning_rate", 1),
        ("learning_rate", 1e-4),
        ("max_samples", 5),
        ("max_samples", None),
        ("bf16", True),
        ("eval_strategy", "epoch"),
        ("report_to", ["none"]),
        ("hf_hub_token", None),
    ],
)
def test_a_value_of_a_type_that_the_key_takes_is_no_fault(key: str, value: Any) -> None:
    assert known_keys.faults({key: value}, KNOWN) == []


@pytest.mark.parametrize(
    ("key", "value", "cure"),
    [
        ("learning_rate", "fast", "use a number, such as 5e-05"),
        ("learning_rate", True, "use a number"),
        ("learning_rate", None, "use a number"),
        ("max_samples", 2.5, "use a whole number"),
        ("max_samples", True, "use a whole number"),
        ("bf16", 1, "use true or false"),
        ("bf16", "true", "use true or false"),
        ("eval_strategy", "sometimes", "use one of no, steps, epoch"),
        ("eval_strategy", False, "quote them"),
        ("report_to", {"a": 1}, "use a list or a text"),
    ],
)
def test_a_value_of_another_type_is_told_with_its_cure(key: str, value: Any, cure: str) -> None:
    (fault,) = known_keys.faults({key: value}, KNOWN)
    assert fault.startswith(f"{key}: ")
    assert cure in fault


def test_an_unknown_key_is_told_with_the_nearest_and_without_its_value() -> None:
    (fault,) = known_keys.faults({"hf_hub_tokn": "hf_secret"}, KNOWN)
    assert fault == "hf_hub_tokn: LLaMA-Factory 0.9.5 has no such key; the nearest is hf_hub_token"


def test_a_key_that_is_like_no_other_is_told_without_a_guess() -> None:
    (fault,) = known_keys.faults({"zzzz": 1}, KNOWN)
    assert "nearest" not in fault


def test_a_secret_is_refused_and_not_repeated() -> None:
    (fault,) = known_keys.faults({"hf_hub_token": "hf_0123456789"}, KNOWN)
    assert "HF_TOKEN" in fault
    assert "hf_0123456789" not in fault


@pytest.mark.parametrize("key", sorted(SECRETS))
def test_no_secret_of_the_shipped_list_is_repeated(key: str) -> None:
    (fault,) = known_keys.faults({key: "do_not_tell_me"}, known_keys.shipped())
    assert fault.startswith(f"{key}: ")
    assert "do_not_tell_me" not in fault


def test_settings_that_only_sound_like_secrets_are_fine() -> None:
    settings = {
        "include_num_input_tokens_seen": True,
        "hf_hub_token": None,
        "resize_vocab": True,
        "add_special_tokens": "<a>,<b>",
        "hub_private_repo": True,
    }
    assert known_keys.faults(settings, known_keys.shipped()) == []


def test_every_fault_is_told() -> None:
    settings = {"bf16": "x", "nonsense": 1, "max_samples": "all"}
    assert len(known_keys.faults(settings, KNOWN)) == 3


def test_the_shipped_list_knows_every_secret_and_names_its_versions() -> None:
    shipped = known_keys.shipped()
    assert set(SECRETS) <= set(shipped.keys)
    assert (shipped.llamafactory, shipped.transformers) == ("0.9.5", "4.57.6")


@pytest.mark.parametrize("name", ["image_resolution", "model_max_length", "mat_trainer"])
def test_the_shipped_list_has_none_of_these(name: str) -> None:
    assert name not in known_keys.shipped().keys


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("max_pixels", "image_max_pixels"),
        ("epochs", "num_train_epochs"),
        ("batch_size", "per_device_train_batch_size"),
        ("lr", "learning_rate"),
        ("max_seq_length", "cutoff_len"),
        ("gradient_accumulation", "gradient_accumulation_steps"),
        ("learning_rat", "learning_rate"),
        ("Lora-Rank", "lora_rank"),
    ],
)
def test_what_people_type_leads_to_the_key_that_they_mean(typed: str, meant: str) -> None:
    assert known_keys.nearest(typed, known_keys.shipped().keys) == meant
