"""Settings that only training refuses."""

from __future__ import annotations

from typing import Any

import pytest

from mat_trainer.core.traps import faults

STREAMING = {
    "streaming": True,
    "max_steps": 10,
    "dataloader_num_workers": 2,
    "per_device_train_batch_size": 1,
}


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"dataloader_num_workers": 0, "per_device_train_batch_size": 4},
        STREAMING,
        {
            **STREAMING,
            "per_device_train_batch_size": 4,
            "accelerator_config": {"dispatch_batches": False},
        },
    ],
)
def test_what_trains(settings: dict[str, Any]) -> None:
    assert faults(settings) == []


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"dataloader_num_workers": 0}, "StopIteration"),
        ({"dataloader_num_workers": None}, "StopIteration"),
        ({"per_device_train_batch_size": 2}, "dispatch_batches"),
        ({"per_device_train_batch_size": None}, "dispatch_batches"),
        ({"tokenized_path": "/cache"}, "tokenized_path"),
    ],
)
def test_what_does_not(change: dict[str, Any], word: str) -> None:
    (fault,) = faults({**STREAMING, **change})
    assert word in fault


def test_all_at_once() -> None:
    assert len(faults({"streaming": True, "tokenized_path": "/cache"})) == 3
