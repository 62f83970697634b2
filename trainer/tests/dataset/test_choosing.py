from __future__ import annotations

import msgspec
import pytest

from mat_trainer.core.errors import ConfigError
from mat_trainer.core.manifest import Manifest, Part
from mat_trainer.core.recipe import Data
from mat_trainer.dataset.choosing import Choice, choose


def part(format: str, split: str = "train", number: int = 0, subset: str = "") -> Part:
    folder = "_".join(filter(None, (format, subset, "" if split == "train" else split)))
    path = f"{folder}/{number}.{format}"
    return Part(path, format, split, 10, 100, f"{number:064}", subset)


def dataset(*parts: Part, name: str = "mat") -> Manifest:
    return Manifest("d", parts, None, 1, "convert", name)


BOTH = dataset(part("jsonl"), part("parquet"), part("parquet", number=1))
KINDS = ("", "noid", "tools", "ranking", "ranking_tools_noid", "kto_noid")
MANY = dataset(*(part(format, subset=kind) for kind in KINDS for format in ("jsonl", "parquet")))


def names(choice: Choice) -> str:
    return ",".join(entry.name for entry in choice.training)


def faults(manifest: Manifest, **data: str) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        choose(manifest, Data(**data), remote=False)  # type: ignore[arg-type] # no bool among them
    return caught.value.faults


@pytest.mark.parametrize(
    ("manifest", "remote", "name"),
    [
        (BOTH, True, "mat_parquet"),
        (BOTH, False, "mat"),
        (dataset(part("jsonl")), True, "mat"),
        (dataset(part("parquet")), False, "mat_parquet"),
        (dataset(part("jsonl"), name="agents"), False, "agents"),
    ],
)
def test_parquet_from_afar_jsonl_when_here_else_what_there_is(
    manifest: Manifest, remote: bool, name: str
) -> None:
    assert names(choose(manifest, Data(), remote=remote)) == name


@pytest.mark.parametrize(
    ("stage", "chosen"),
    [
        ("sft", "mat,mat_noid,mat_tools"),
        ("dpo", "mat_ranking,mat_ranking_tools"),
        ("rm", "mat_ranking,mat_ranking_tools"),
        ("kto", "mat_kto"),
    ],
)
def test_all_entries_that_fit_the_stage_are_trained_on_and_the_others_told(
    stage: str, chosen: str
) -> None:
    choice = choose(MANY, Data(stage), remote=False)
    assert names(choice) == chosen
    left = {notice.split()[0] for notice in choice.notices}
    everything = {"mat", "mat_noid", "mat_tools", "mat_ranking", "mat_ranking_tools", "mat_kto"}
    assert left == everything - set(chosen.split(","))


def test_a_notice_says_what_is_left_and_for_which_stage() -> None:
    told = choose(MANY, Data(), remote=False).notices
    assert (
        "mat_ranking is not trained on: its 10 rows have pairs of answers (chosen, rejected), for "
        "stage dpo or rm"
    ) in told


def test_a_setting_wins() -> None:
    (chosen,) = choose(BOTH, Data(dataset="mat"), remote=True).training
    assert (chosen.name, chosen.rows, chosen.folder) == ("mat", 10, "jsonl")


def test_a_setting_may_name_several_in_its_own_order() -> None:
    choice = choose(MANY, Data(dataset="mat_tools, mat"), remote=False)
    assert names(choice) == "mat_tools,mat"
    assert choice.notices == ()


def test_entries_without_images_come_last_unless_the_order_matters() -> None:
    texts, tools = part("jsonl"), part("jsonl", subset="tools")
    manifest = dataset(texts, msgspec.structs.replace(tools, image_rows=1))
    assert names(choose(manifest, Data(), remote=False)) == "mat_tools,mat"
    named = Data(dataset="mat,mat_tools")
    assert names(choose(manifest, named, remote=False)) == "mat_tools,mat"
    ordered = msgspec.structs.replace(named, in_order=True)
    assert names(choose(manifest, ordered, remote=False)) == "mat,mat_tools"


def test_an_entry_to_evaluate_on_comes_after_the_others_and_once() -> None:
    manifest = dataset(part("parquet"), part("parquet", "val"))
    chosen = choose(manifest, Data(evaluation="mat_parquet_val"), remote=True)
    assert [entry.name for entry in chosen.entries] == ["mat_parquet", "mat_parquet_val"]
    again = choose(manifest, Data(dataset="mat_parquet", evaluation="mat_parquet"), remote=True)
    assert [entry.name for entry in again.entries] == ["mat_parquet"]


def test_every_entry_that_is_not_there_is_told() -> None:
    assert faults(BOTH, dataset="coco", evaluation="mat_val") == (
        "dataset coco: this dataset has no such entry; use one of mat, mat_parquet",
        "eval_dataset mat_val: this dataset has no such entry; use one of mat, mat_parquet",
    )


def test_the_name_of_another_dataset_in_a_file_is_left_out_with_a_notice() -> None:
    choice = choose(BOTH, Data(dataset="rlhf_v,coco", is_of_file=True), remote=False)
    assert names(choice) == "mat"
    assert choice.notices[0].startswith("dataset: rlhf_v,coco is left out: the data comes from")
    with pytest.raises(ConfigError, match="dataset coco: this dataset has no such entry"):
        choose(BOTH, Data(dataset="mat,coco", is_of_file=True), remote=False)


@pytest.mark.parametrize(
    ("stage", "entry", "sentence"),
    [
        (
            "sft",
            "mat_ranking",
            "dataset mat_ranking: it has pairs of answers (chosen, rejected), which stage sft does "
            "not train on; use a recipe of stage dpo or rm, or choose mat,mat_noid,mat_tools",
        ),
        (
            "sft",
            "mat_kto_parquet",
            "dataset mat_kto_parquet: it has answers with a label (kto_tag), which stage sft does "
            "not train on; use a recipe of stage kto, or choose "
            "mat_parquet,mat_noid_parquet,mat_tools_parquet",
        ),
        (
            "dpo",
            "mat",
            "dataset mat: it has one answer a row, which stage dpo does not train on; use a recipe "
            "of stage sft, or choose mat_ranking,mat_ranking_tools",
        ),
        (
            "kto",
            "mat_ranking",
            "dataset mat_ranking: it has pairs of answers (chosen, rejected), which stage kto does "
            "not train on; use a recipe of stage dpo or rm, or choose mat_kto",
        ),
    ],
)
def test_an_entry_of_another_stage_is_refused(stage: str, entry: str, sentence: str) -> None:
    assert faults(MANY, stage=stage, dataset=entry) == (sentence,)


def test_an_entry_of_another_stage_is_not_evaluated_on_either() -> None:
    (fault,) = faults(MANY, stage="dpo", evaluation="mat")
    assert fault.startswith("eval_dataset mat: it has one answer a row")


def test_a_stage_without_an_entry_is_told_what_there_is() -> None:
    (fault,) = faults(dataset(part("jsonl"), part("jsonl", subset="kto")), stage="dpo")
    assert fault == (
        "stage dpo: the dataset has no entry for it, but mat for sft, mat_kto for kto; use a "
        "recipe of another stage, or convert records of another kind"
    )


def test_the_two_formats_are_not_joined() -> None:
    (fault,) = faults(BOTH, dataset="mat,mat_parquet")
    assert fault.startswith("dataset mat,mat_parquet: LLaMA-Factory cannot join JSONL and Parquet")


def test_a_dataset_without_rows_cannot_be_trained_on() -> None:
    assert "no rows to train on" in faults(dataset())[0]
