"""What the pure core takes for granted, asked of the libraries that it speaks of."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mat_trainer.core import document, known_keys
from mat_trainer.core.plan import DatasetFacts, bind
from mat_trainer.core.recipe import Recipe

pytestmark = [pytest.mark.worker, pytest.mark.usefixtures("warm")]

VALUES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text("abc 0123456789.-+_eE:~#'\"\n\x85{}[]!&*é图", max_size=12)
)


@pytest.fixture(scope="module")
def listed() -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "mat_trainer.worker.arguments"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_the_shipped_list_is_what_the_installed_classes_say(listed: dict[str, Any]) -> None:
    assert known_keys.parse(json.dumps(listed).encode()) == known_keys.shipped()


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("cutoff_len", {"types": ["int"], "default": 2048}),  # LLaMA-Factory's
        ("max_samples", {"types": ["int", "null"]}),
        ("learning_rate", {"types": ["float"], "default": 5e-05}),  # transformers'
        ("eval_strategy", {"types": ["str"], "choices": ["no", "steps", "epoch"], "default": "no"}),
        ("top_p", {"types": ["float"], "default": 0.7}),
    ],
)
def test_types_choices_and_defaults_are_those_of_the_sources(
    listed: dict[str, Any], name: str, key: dict[str, Any]
) -> None:
    assert listed["keys"][name] == key


def test_what_the_parser_derives_is_not_listed(listed: dict[str, Any]) -> None:
    assert not {"compute_dtype", "device_map", "model_max_length"} & set(listed["keys"])


def as_llama_factory_reads(text: str) -> Any:
    # As llamafactory.hparams.parser.read_args does.
    omegaconf = importlib.import_module("omegaconf").OmegaConf
    return omegaconf.to_container(omegaconf.merge(omegaconf.create(text), {}))


@settings(deadline=None)
@given(st.dictionaries(st.from_regex(r"\A[a-z][a-z_]{0,8}\Z"), VALUES, max_size=5))
def test_llama_factorys_reader_gets_what_was_written(values: dict[str, Any]) -> None:
    assert as_llama_factory_reads(document.write(values)) == values


@pytest.mark.parametrize(
    "text",
    "1e-4 1E6 +1e5 1.5e5 1_0e3 .5 1. 0x10 010 0b11 1_000 12:30 yes off ~ null .inf 2026-11-22 1e "
    "e5 1e-4x 0o17 -1e-3 1.5e-5 '1e-4'".split(),
)
def test_both_readers_see_the_same_in_what_a_user_writes(text: str) -> None:
    theirs = as_llama_factory_reads(f"key: {text}\n")
    ours = document.read(f"key: {text}\n", "it")
    assert ours == theirs
    assert document.scalar(text) == ours["key"]


@pytest.mark.parametrize("val_size", [0.1, 0.25, 0.333, 3, 1])
@pytest.mark.parametrize("rows", [7, 10, 101])
def test_rows_held_out_are_those_that_datasets_splits_off(rows: int, val_size: float) -> None:
    from datasets import Dataset

    recipe = Recipe("it", {"model_name_or_path": "m", "val_size": val_size})
    plan = bind(recipe, DatasetFacts({"mat": rows}, "/d", "/d"), "/out")
    # As llamafactory.data.data_utils.split_dataset calls it.
    size = int(val_size) if val_size > 1 else val_size
    split = Dataset.from_dict({"row": list(range(rows))}).train_test_split(test_size=size, seed=42)
    assert (plan.used, plan.held_out) == (len(split["train"]), len(split["test"]))
