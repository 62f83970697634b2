from __future__ import annotations

import pytest

from mat_trainer.core import overrides


def test_values_are_yaml() -> None:
    faults: list[str] = []
    words = ["a=1", "b=1e-5", "c=true", "d=null", "e=q_proj,v_proj", "f=[x, y]", "g='1'", "h=a=b"]
    assert overrides.parse(words, faults) == {
        "a": 1,
        "b": 1e-5,
        "c": True,
        "d": None,
        "e": "q_proj,v_proj",
        "f": ["x", "y"],
        "g": "1",
        "h": "a=b",
    }
    assert faults == []


@pytest.mark.parametrize("word", ["max_samples", "=3", "max_samples=", "a=[", "output_dir=x"])
def test_what_is_no_change_is_a_fault(word: str) -> None:
    faults: list[str] = []
    assert overrides.parse([word], faults) == {}
    assert len(faults) == 1


def test_a_key_given_twice_is_a_fault_even_with_one_value() -> None:
    faults: list[str] = []
    overrides.parse(["a=1", "a=1"], faults)
    assert faults == ["--set a is given twice; remove one of the two"]


@pytest.mark.parametrize(
    ("key", "option"),
    [("dataset_dir", "--dataset"), ("output_dir", "--output-dir"), ("media_dir", "--dataset")],
)
def test_what_the_launcher_decides_is_told_with_its_option(key: str, option: str) -> None:
    faults: list[str] = []
    overrides.parse([f"{key}=/x"], faults)
    assert f"use {option}" in faults[0]
