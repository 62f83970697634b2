"""What ``beam-mat show`` prints of our datasets, of other people's, and of hostile ones."""

from __future__ import annotations

import io
import json
import os
import re
import shlex
import shutil
import subprocess
from collections import Counter
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import fsspec
import pytest
from rich.console import Console

from beam_mat.core.reject import Reason
from beam_mat.sample import SampleSummary
from tests import outputs as dataset
from tests.command import PROGRAM, ROOT, convert_words, converted, run, spawn
from tests.making import image_record, picture, record, write_shard, write_zip
from tests.stands import hub, servers

COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def shown(*words: object) -> str:
    """What a terminal of 100 columns is sent."""
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=100)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("rich.console.Console", lambda: console)
        ran = run("show", *words)
    assert ran.code == 0, ran.err
    return out.getvalue()


def test_the_first_row_is_printed_turn_by_turn_with_its_images(made_up_output: Path) -> None:
    rows = dataset.rows(made_up_output)
    at, row = next((at, row) for at, row in enumerate(rows) if row["images"])
    ran = run("show", made_up_output, "--index", at)
    assert ran.code == 0
    assert "\x1b" not in ran.out  # this is no terminal
    assert f"row {at} of " in ran.out
    assert f"id {row['id']}" in ran.out
    assert f"turn 1 of {len(row['messages'])}" in ran.out
    assert row["messages"][-1]["content"].splitlines()[0][:60] in ran.out
    table = dataset.image_files(made_up_output)
    for number, path in enumerate(row["images"]):
        known = table[path]
        size = f"{known['width']} × {known['height']} {known['format']}"
        assert f"image {number + 1}: {path}  {size}, " in ran.out


def test_the_system_prompt_is_shortened_until_all_of_it_is_asked_for(made_up_output: Path) -> None:
    prompt = dataset.rows(made_up_output)[0]["system"]
    short, full = run("show", made_up_output).out, run("show", made_up_output, "--full").out
    last = prompt.splitlines()[-1][:60]
    assert "more characters: --full prints them" in short
    assert last not in short
    assert last in full


def test_every_row_has_its_index_and_the_validation_set_comes_last(made_up_output: Path) -> None:
    train, val = (dataset.rows(made_up_output, split) for split in ("train", "val"))
    assert val
    for index, row in enumerate([*train, *val]):
        assert f"id {row['id']}\n" in run("show", made_up_output, "--index", index).out
    (last,) = run("show", made_up_output, "--index", len(train)).out.splitlines()[1:2]
    assert last.startswith("mat_val: ")
    ran = run("show", made_up_output, "--index", len(train) + len(val))
    assert ran.code == 2
    assert f"there are {len(train) + len(val)} rows; give a number from 0 to" in ran.err


def test_an_id_names_its_first_row_and_says_where_the_others_are(made_up_output: Path) -> None:
    ids = [row["id"] for split in ("train", "val") for row in dataset.rows(made_up_output, split)]
    id, count = Counter(ids).most_common(1)[0]
    assert count > 1
    places = [place for place, other in enumerate(ids) if other == id]
    ran = run("show", made_up_output, "--id", id)
    assert ran.out.startswith(f"row {places[0]} of {len(ids)}, id {id}\n")
    others = ", ".join(map(str, places[1:]))
    assert f"{count - 1} more with this id: --index {others}" in ran.out
    ran = run("show", made_up_output, "--id", "nobody")
    assert ran.code == 2
    assert "--id nobody: none of " in ran.err


def test_where_only_parquet_was_written_that_is_read(
    tmp_path: Path, made_up: SampleSummary
) -> None:
    output = converted(made_up.shards, made_up.image_zip, tmp_path / "out", "--formats", "parquet")
    rows = dataset.parquet_rows(output)
    at, row = next((at, row) for at, row in enumerate(rows) if len(row["images"]) > 1)
    ran = run("show", output, "--id", row["id"])
    assert ran.code == 0
    assert f"row {at} of {len(rows)}" in ran.out
    assert f"image 2: {row['images'][1]['path']}  " in ran.out
    assert "kB in the row" in ran.out


def test_rejects_are_told_with_reason_place_and_cure(made_up_output: Path) -> None:
    rejects = dataset.rejects(made_up_output)
    brief = run("show", made_up_output, "--rejected").out
    assert f"{len(rejects) - 5} more: --rejected --index 5, " in brief
    for number, reject in enumerate(rejects):
        ran = run("show", made_up_output, "--rejected", "--index", number)
        assert ran.code == 0, ran.err
        assert ran.out.startswith(f"reject {number}")
        assert f"\n{reject['reason']}: " in ran.out
        assert Reason(reject["reason"]).sentence in ran.out
        assert (
            f"in {reject['source']}, record {reject['index']}, bytes {reject['start']} to"
            in ran.out
        )
    ran = run("show", made_up_output, "--rejected", "--index", len(rejects))
    assert (ran.code, f"there are {len(rejects)} rejected records" in ran.err) == (2, True)


def test_a_reject_is_found_by_its_id(made_up_output: Path) -> None:
    reject = next(r for r in dataset.rejects(made_up_output) if r["reason"] == "image_truncated")
    ran = run("show", made_up_output, "--rejected", "--id", reject["id"])
    assert f"id {reject['id']}\nimage_truncated: " in ran.out
    assert "turn 1 of " in ran.out
    ran = run("show", made_up_output, "--rejected", "--id", "nobody")
    assert ran.code == 2
    assert "--id nobody: no rejected record has this id" in ran.err


def test_a_dataset_without_rejects_says_so(tmp_path: Path) -> None:
    shard = write_shard(tmp_path / "mat.json", [record("1")])
    output = converted(shard, write_zip(tmp_path / "files.zip", {}), tmp_path / "out")
    assert run("show", output, "--rejected").out == "No record was rejected\n"


def test_parts_that_no_manifest_lists_are_no_rows(tmp_path: Path, made_up_output: Path) -> None:
    shutil.copytree(made_up_output, tmp_path / "out")
    for folder in ("jsonl", "rejects"):
        (tmp_path / "out" / folder / "0.jsonl").write_text("a later generation\n")
    for words in ([], ["--rejected"]):
        ran = run("show", tmp_path / "out", *words)
        assert ran.code == 0
        assert ran.out == run("show", made_up_output, *words).out


def test_a_row_is_sought_by_the_manifest_and_earlier_parts_are_not_read(
    tmp_path: Path, made_up_output: Path
) -> None:
    shutil.copytree(made_up_output, tmp_path / "out")
    parts = [
        part for part in dataset.manifest(made_up_output)["parts"] if part["format"] == "jsonl"
    ]
    parts.sort(key=lambda part: (part["split"], part["path"]))
    assert len(parts) > 2
    (tmp_path / "out" / parts[0]["path"]).write_text("no row at all")
    index = parts[0]["rows"]
    ran = run("show", tmp_path / "out", "--index", index)
    assert (ran.code, ran.out) == (0, run("show", made_up_output, "--index", index).out)
    ran = run("show", tmp_path / "out", "--index", 0)
    assert ran.code == 1
    assert f"{parts[0]['path']}: the file is not JSON" in ran.err
    assert "run beam-mat check for details" in ran.err


def test_head_reads_the_beginning_and_nobody_complains(made_up_output: Path) -> None:
    line = f"{shlex.join(PROGRAM)} show {made_up_output} --full | head -1"
    ran = subprocess.run(
        ["bash", "-c", line],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout.startswith("row 0 of ")
    assert ran.stderr == ""


HOSTILE = (
    "\x1b]0;owned\x07\x1b[2J\x9b31m[red]bold[/] [link=http://x]here[/link] \u202egnp.exe :smile:"
)


def held(text: str) -> str:
    """The text without colours, which must be all that a terminal is told."""
    plain = COLOUR.sub("", text)
    assert plain.isprintable() or all(letter == "\n" or letter.isprintable() for letter in plain), (
        sorted(set(plain))
    )
    return plain.replace("\n", "").replace(" ", "")


def test_a_hostile_record_is_shown_as_text(tmp_path: Path) -> None:
    shard = write_shard(
        tmp_path / "mat.json",
        [
            image_record(
                HOSTILE, "tongagent/1.jpg", question=HOSTILE, answer=HOSTILE, system=HOSTILE
            ),
            {**record(HOSTILE), "conversations": [{"role": HOSTILE, "content": HOSTILE}]},
            HOSTILE,
            image_record("3", f"tongagent/{HOSTILE}.jpg", answer=HOSTILE),
        ],
    )
    members = write_zip(tmp_path / "files.zip", {"tongagent/1.jpg": picture()})
    output = converted(shard, members, tmp_path / "out")
    spelled = (
        r"\x1b]0;owned\x07\x1b[2J\x9b31m[red]bold[/][link=http://x]here[/link]\u202egnp.exe:smile:"
    )
    whole = held(shown(output, "--full"))
    assert whole.count(spelled) == 4  # id, system, question and answer
    assert held(shown(output, "--id", HOSTILE, "--full")) == whole
    rejected = [held(shown(output, "--rejected", "--index", n, "--full")) for n in range(3)]
    assert all("[red]bold[/]" in text for text in rejected)
    held(shown(output, "--rejected"))


def foreign(folder: Path, rows: list[Any], **entry: Any) -> Path:
    """Somebody else's dataset."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "rows.json").write_text(json.dumps(rows))
    value = {"file_name": "rows.json", "formatting": "sharegpt", **entry}
    (folder / "dataset_info.json").write_text(json.dumps({HOSTILE: value}))
    return folder


def test_any_sharegpt_dataset_can_be_shown(tmp_path: Path) -> None:
    (tmp_path / "set" / "pictures").mkdir(parents=True)
    (tmp_path / "set" / "pictures" / "1.png").write_bytes(picture((30, 20), format="PNG"))
    turns = [
        {"from": "system", "value": "Be kind."},
        {"from": "human", "value": "<image>What is this?"},
        {"from": "gpt", "value": None},
    ]
    paths = ["pictures/1.png", "pictures/2.png", "../../secret", "/etc/passwd", "http://host/1.jpg"]
    rows = [{"conversations": turns, "images": paths, "tools": "[]"}, ["no row"], {"id": 7}]
    columns = {"messages": "conversations", "images": "images", "tools": "tools"}
    folder = foreign(tmp_path / "set", rows, columns=columns)
    text = held(shown(folder))
    for told in (
        "system8characters",
        "Bekind.",
        "humanturn1of2",
        "image1:pictures/1.png30×20PNG,",
        "imagesnotreferencedbyany<image>",
        "image2:pictures/2.pngismissing",
        "image3:../../secretnotopened",
        "image4:/etc/passwdnotopened",
        "image5:http://host/1.jpgnotopened",
    ):
        assert told in text
    assert "Therowhasnoconversation" in held(shown(folder, "--index", 1))
    assert "Therowhasnoconversation" in held(shown(folder, "--id", 7))
    ran = run("show", folder, "--rejected")
    assert ran.code == 2
    assert "so beam-mat did not make it, and there are no rejected records" in ran.err


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["nowhere"], "there is no such folder; check the path"),
        (["."], "has no dataset_info.json, so it is not a dataset; name the --output of"),
        ([".", "--rejected"], "has no dataset_info.json, so it is not a dataset"),
        (["broken"], "is not JSON"),
        (["set", "--name", "mine"], "--name mine: "),
        (["set", "--index", "-1"], "--index -1: give a whole number of at least 0"),
        (["set", "--index", "first"], "--index first: give a whole number"),
        (["set", "--index", "1", "--id", "a"], "--id: cannot be used with --index; give one"),
        (["set", "--rejected", "--name", "mat"], "rejected records are in no entry"),
        (["begun"], "is not finished; run the same beam-mat convert again"),
        (["empty"], "has no rows to show"),
        (["set", "--rejectd"], "did you mean --rejected?"),
        (["nope://x"], "nope"),
    ],
)
def test_faults_name_value_cause_and_cure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], why: str
) -> None:
    monkeypatch.chdir(tmp_path)
    foreign(tmp_path / "set", [])
    (tmp_path / "begun" / "_beam_mat").mkdir(parents=True)
    for name, text in (("broken", "{"), ("empty", "{}")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "dataset_info.json").write_text(text)
    ran = run("show", *words)
    assert (ran.code, ran.out) == (2, "")
    assert why in ran.err
    assert ran.err.startswith("beam-mat: 1 configuration error:\n")


def test_without_words_it_says_what_to_type() -> None:
    ran = run("show")
    assert (ran.code, ran.out) == (2, "")
    assert "It needs\n  DATASET: the dataset's folder" in ran.err
    assert "  beam-mat show dataset\n" in ran.err


def test_datasets_elsewhere_are_shown_from_there(made_up_output: Path) -> None:
    memory = fsspec.filesystem("memory")
    memory.put(f"{made_up_output}/", "/shown/", recursive=True)
    try:
        for words in ([], ["--rejected"], ["--index", "3"], ["--name", "mat_parquet_val"]):
            here, there = (run("show", at, *words) for at in (made_up_output, "memory://shown"))
            assert (there.code, there.err) == (0, "")
            assert there.out.replace("memory:///shown", str(made_up_output)) == here.out
    finally:
        memory.rm("/shown", recursive=True)


@pytest.mark.stands
def test_a_dataset_on_the_hub_is_shown_from_there(tmp_path: Path, made_up_output: Path) -> None:
    if not find_spec("huggingface_hub"):
        servers.missing("huggingface_hub")
    shutil.copytree(made_up_output, tmp_path / "data")
    with hub.hub(tmp_path) as url:
        there = f"hf://datasets/{hub.REPO}/data"
        ran = spawn("show", there, "--index", "3", environment={"HF_ENDPOINT": url})
    assert ran.code == 0, ran.err
    here = run("show", made_up_output, "--index", "3").out
    assert ran.out.splitlines()[2:] == here.splitlines()[2:]


CROP = {"name": "crop", "arguments": {"side": "left"}}
TOOL = {"name": "crop", "description": "Cuts.", "parameters": {"properties": {"side": {}}}}


def of_all_kinds() -> list[dict[str, Any]]:
    """Records of LLaMA-Factory's own form, of four kinds of rows."""
    asked = [{"role": "user", "content": "<image>Which side?"}]
    left, right = (
        {"role": "assistant", "content": f"The {side} one."} for side in ("left", "right")
    )
    looked = [
        {"role": "function_call", "content": json.dumps([CROP, CROP])},
        {
            "role": "observation",
            "content": "<image>32 x 48\n</tool_response>\n<tool_response>\n32 x 48",
        },
    ]
    one, two = {"images": ["1.jpg"]}, {"images": ["1.jpg", "2.jpg"]}
    return [
        {"id": "plain", "messages": [*asked, left], **one},
        {"id": "tools", "messages": [*asked, *looked, left], "tools": json.dumps([TOOL]), **two},
        {"id": "pair", "messages": asked, "chosen": left, "rejected": right, **one},
        {"id": "label", "messages": [*asked, right], "kto_tag": False, **one},
        {"id": "loss", "messages": [*asked, {**left, "loss": False}], "tools": [TOOL], **one},
    ]


@pytest.fixture(scope="module")
def all_kinds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("kinds")
    *others, pair, label, loss = of_all_kinds()
    shards = [
        write_shard(folder / "rows.json", [*others, label, loss]),
        write_shard(folder / "pairs.json", [pair]),
    ]
    members = {f"{n}.jpg": picture(seed=n) for n in (1, 2)}
    return converted(shards, write_zip(folder / "files.zip", members), folder / "out")


def test_rows_of_every_kind_are_found_and_printed(all_kinds: Path) -> None:
    texts = {id: run("show", all_kinds, "--id", id).out for id in ("tools", "pair", "label")}
    assert {run("show", all_kinds, "--index", n).out.split("\n")[0] for n in range(4)} == {
        f"row {n} of 4, id {id}" for n, id in enumerate(["plain", "label", "pair", "tools"])
    }
    for told in (
        "tools  17 characters",
        "  crop(side): Cuts.",
        '  → crop {"side": "left"}\n  → crop {"side": "left"}',
        "  <image>32 x 48\n  ----\n  32 x 48",
        "image 2: images/2.",
        "turn 4 of 4",
    ):
        assert told in texts["tools"], texts["tools"]
    assert "</tool_response>" not in texts["tools"]
    whole = run("show", all_kinds, "--id", "tools", "--full").out
    assert json.dumps([CROP, CROP]) in whole.replace("\n  ", " ")
    for told in (
        "mat_ranking: jsonl_ranking/",
        "turn 1 of 1",
        "chosen  answer with the role assistant",
        "  The left one.",
        "rejected  answer with the role assistant",
        "  The right one.",
    ):
        assert told in texts["pair"]
    assert texts["pair"].index("chosen") < texts["pair"].index("rejected")
    assert "kto_tag  whether the last answer is wanted" in texts["label"]
    assert "\n  false\n" in texts["label"]


def test_the_validation_rows_of_every_kind_come_last(tmp_path: Path, all_kinds: Path) -> None:
    output = tmp_path / "out"
    records = [{**one, "id": f"{one['id']} {n}"} for n in range(9) for one in of_all_kinds()]
    pairs = [one for one in records if "chosen" in one]
    shards = [
        write_shard(tmp_path / "rows.json", [one for one in records if "chosen" not in one]),
        write_shard(tmp_path / "pairs.json", pairs),
    ]
    converted(shards, all_kinds.parent / "files.zip", output, "--val-fraction", "0.5")
    places = []
    for index in range(36):
        place = run("show", output, "--index", index).out.splitlines()[1].split(": ")[0]
        places.append(place)
    assert len(set(places)) == 8
    is_val = [place.endswith("_val") for place in places]
    assert is_val == sorted(is_val)


def test_images_of_two_answers_continue_the_same_turns(tmp_path: Path) -> None:
    turns = [{"from": "human", "value": "<image>?"}]
    row = {
        "conversations": turns,
        "images": ["1.jpg", "2.jpg", "3.jpg"],
        "chosen": {"from": "gpt", "value": "<image>"},
        "rejected": {"from": "gpt", "value": "or <image>"},
    }
    columns = {name: name for name in ("images", "chosen", "rejected")}
    columns["messages"] = "conversations"
    text = held(shown(foreign(tmp_path, [row], columns=columns, ranking=True)))
    assert text.count("image2:2.jpgismissing") == 2
    assert text.count("image3:3.jpgismissing") == 1
    assert text.index("notreferencedbyany") < text.index("image3:")


def test_a_rejected_record_of_any_schema_is_a_conversation(tmp_path: Path, all_kinds: Path) -> None:
    text = run("show", all_kinds, "--rejected", "--id", "loss").out
    for told in (
        "key_not_supported: ",
        "crop(side): Cuts.",
        "turn 2 of 2",
        '  The left one.\n  other keys: {"loss": false}',
        "other keys  as in the record",
        '"images": [',
    ):
        assert told in text
    parts = [{"type": "image_url", "image_url": {"url": "no.jpg"}}, {"type": "text", "text": "?"}]
    messages = [{"role": "user", "content": parts}, {"role": "assistant", "content": "A cat."}]
    pair = {"images": ["no.jpg"], "conversations": [{"from": "human", "value": "<image>?"}]}
    pair |= {name: {"from": "gpt", "value": f"The {name}."} for name in ("chosen", "rejected")}
    shards = [
        write_shard(tmp_path / "parts.json", [{"messages": messages}]),
        write_shard(tmp_path / "pairs.json", [pair]),
    ]
    run(
        *convert_words(shards, all_kinds.parent / "files.zip", tmp_path / "out"),
        *("--max-rejected", "1"),
    )
    texts = [run("show", tmp_path / "out", "--rejected", "--index", n).out for n in range(2)]
    for told in ("  <image> (no.jpg) ?", "  The chosen.", "rejected  answer with the role gpt"):
        assert sum(told in text for text in texts) == 1


@pytest.mark.parametrize("formats", ["jsonl,parquet", "parquet"])
def test_an_older_generation_is_shown(tmp_path: Path, all_kinds: Path, formats: str) -> None:
    output, rows, pairs = tmp_path / "out", tmp_path / "rows.json", tmp_path / "pairs.json"
    *others, pair, label, loss = of_all_kinds()
    write_shard(pairs, [pair])
    for records in ([*others, label, loss], [{**label, "id": "new"}]):
        write_shard(rows, records)
        images = all_kinds.parent / "files.zip"
        ran = run(
            *convert_words([rows, pairs], images, output),
            "--formats",
            formats,
            "--keep-generations",
            "all",
        )
        assert ran.code == 0, ran.err
    first, second = f"{output}@1", f"{output}@2"
    for index, id in enumerate(["plain", "label", "pair", "tools"]):
        text = run("show", first, "--index", index).out
        assert text.startswith(f"row {index} of 4, id {id}\n")
        assert run("show", first, "--id", id).out == text
        assert " × " in text
    newest = [run("show", dataset, "--index", 0).out for dataset in (second, output)]
    assert newest[0] == newest[1]
    assert "id new" in newest[0]
    assert "replaced/" in run("show", first, "--id", "plain").out
    assert "reject 0, id loss" in run("show", first, "--rejected").out
    assert run("show", second, "--rejected").out == "No record was rejected\n"
    name = "mat_ranking_parquet"
    assert "row 0 of 1, id pair" in run("show", first, "--name", name).out
    ran = run("show", f"{output}@3")
    assert (ran.code, "choose one from 1 to 2" in ran.err) == (2, True)
    for command in ("check", "verify"):
        ran = run(command, first)
        assert ran.code == 2
        assert f"{command} reads the newest generation of a dataset only; remove" in ran.err
    output.rename(first)
    assert run("show", first, "--index", 0).out == newest[1].replace(str(output), first)


def test_a_folder_may_be_called_like_a_generation(tmp_path: Path) -> None:
    rows = [{"conversations": [{"from": "human", "value": "Why?"}]}]
    assert "Why?" in run("show", foreign(tmp_path / "set@2", rows)).out
