import json

import pytest

from mat_trainer.core.errors import ConfigError
from mat_trainer.core.manifest import Manifest, Part
from mat_trainer.dataset.entry import Entry, choose, files, registry_faults


def part(format: str, split: str, number: int = 0) -> Part:
    folder = format if split == "train" else f"{format}_{split}"
    return Part(f"{folder}/{number}.{format}", format, split, 10, 100, f"{number:064}")


def dataset(*parts: Part) -> Manifest:
    return Manifest("d", parts, None, 1, "convert")


BOTH = dataset(part("jsonl", "train"), part("parquet", "train"), part("parquet", "train", 1))


@pytest.mark.parametrize(
    ("manifest", "remote", "name"),
    [
        (BOTH, True, "mat_parquet"),
        (BOTH, False, "mat"),
        (dataset(part("jsonl", "train")), True, "mat"),
        (dataset(part("parquet", "train")), False, "mat_parquet"),
    ],
)
def test_parquet_from_afar_jsonl_when_here_else_what_there_is(
    manifest: Manifest, remote: bool, name: str
) -> None:
    (chosen,) = choose(manifest, remote=remote)
    assert chosen.name == name


def test_a_setting_wins() -> None:
    (chosen,) = choose(BOTH, "mat", remote=True)
    assert (chosen.name, chosen.rows, chosen.folder) == ("mat", 10, "jsonl")


def test_an_entry_to_evaluate_on_comes_second_and_once() -> None:
    manifest = dataset(part("parquet", "train"), part("parquet", "val"))
    chosen = choose(manifest, None, "mat_parquet_val", remote=True)
    assert [entry.name for entry in chosen] == ["mat_parquet", "mat_parquet_val"]
    again = choose(manifest, "mat_parquet", "mat_parquet", remote=True)
    assert [entry.name for entry in again] == ["mat_parquet"]


def test_every_entry_that_is_not_there_is_told() -> None:
    with pytest.raises(ConfigError) as caught:
        choose(BOTH, "coco", "mat_val", remote=True)
    assert caught.value.faults == (
        "dataset coco: this dataset has no such entry; use one of mat, mat_parquet",
        "eval_dataset mat_val: this dataset has no such entry; use one of mat, mat_parquet",
    )


def test_a_dataset_without_rows_cannot_be_trained_on() -> None:
    with pytest.raises(ConfigError, match="no rows to train on"):
        choose(dataset(), remote=False)


def test_files_are_the_parts() -> None:
    chosen = choose(BOTH, "mat_parquet", remote=False)
    assert [file.path for file in files(chosen)] == ["parquet/0.parquet", "parquet/1.parquet"]


ENTRY = Entry("mat", "jsonl", "train", (part("jsonl", "train"),))


@pytest.mark.parametrize(
    ("registry", "fault"),
    [
        ({"mat": {"file_name": "jsonl", "formatting": "sharegpt"}}, None),
        ({"other": {}}, "no entry mat"),
        ({"mat": {"file_name": "/etc"}}, "mat reads '/etc', its parts are in 'jsonl'"),
        ({"mat": {"file_name": "jsonl", "script_url": "run.py"}}, "mat has script_url"),
        ({"mat": {"file_name": "jsonl", "hf_hub_url": "a/b"}}, "mat has hf_hub_url"),
        (["mat"], "Expected `object`"),
    ],
)
def test_a_registry_that_reads_or_runs_something_else_is_refused(
    registry: object, fault: str | None
) -> None:
    faults = registry_faults(json.dumps(registry).encode(), (ENTRY,))
    if fault is None:
        assert faults == []
    else:
        assert fault in " ".join(faults)
