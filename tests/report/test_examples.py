"""statistics.json says of a dataset what its rows, images and rejects say; turns in pieces."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import fsspec
import msgspec

from beam_mat.core.statistics import bucket
from beam_mat.report.examples import MAX_TEXT, MAX_TURN, Findings, ShownTurn, pieces, speaker
from tests import outputs as dataset
from tests.command import converted, run
from tests.making import image_record, picture, record, write_shard, write_zip


def findings(output: Path) -> Findings:
    return msgspec.json.decode((output / "statistics.json").read_bytes(), type=Findings)


def test_the_numbers_are_those_of_the_rows(made_up_output: Path) -> None:
    found = findings(made_up_output).records
    rows = dataset.rows(made_up_output) + dataset.rows(made_up_output, "val")
    table = dataset.image_files(made_up_output)
    assert found.turns == Counter(len(row["messages"]) for row in rows)
    assert found.images == Counter(len(row["images"]) for row in rows)
    texts = [len(row["system"]) + sum(len(m["content"]) for m in row["messages"]) for row in rows]
    assert found.text == Counter(map(bucket, texts))
    for name in ("qwen2_vl_tokens", "qwen3_vl_tokens"):
        tokens = [sum(table[path][name] for path in row["images"]) for row in rows]
        assert getattr(found, name) == Counter(map(bucket, tokens))
    # A call counts if the system prompt has the tool; some faulty shards have a short one.
    ends = [row for row in rows if "final_answer" in row["system"]]
    assert found.tools["final_answer"].records == len(ends) > len(rows) / 2


def test_images_are_those_of_the_table(made_up_output: Path) -> None:
    found = findings(made_up_output).images
    usable = [row for row in dataset.image_table(made_up_output).values() if row["sha256"]]
    for prefix, formats, pixels in (
        ("source_", found.formats_before, found.pixels_before),
        ("", found.formats_after, found.pixels_after),
    ):
        assert {name: amount.files for name, amount in formats.items()} == Counter(
            row[f"{prefix}format"] for row in usable
        )
        assert sum(amount.bytes for amount in formats.values()) == sum(
            row[f"{prefix}bytes"] for row in usable
        )
        areas = [row[f"{prefix}width"] * row[f"{prefix}height"] for row in usable]
        assert pixels == Counter(map(bucket, areas))


def test_examples_are_rows_and_rejects(made_up_output: Path) -> None:
    found = findings(made_up_output)
    rows = dataset.rows(made_up_output) + dataset.rows(made_up_output, "val")
    table = dataset.image_files(made_up_output)
    assert len(found.examples) == len(found.records.samples) > 20
    for example in found.examples:
        texts = [turn.text for turn in example.turns]
        same = [row for row in rows if row["id"] == example.id]  # ids repeat
        (row, *_) = [row for row in same if texts == [m["content"] for m in row["messages"]]]
        shown = [path for turn in example.turns for path in turn.images]
        assert shown == [table[file]["path"] for file in row["images"]]
        assert example.system is not None
        assert found.systems[example.system] == row["system"]
    rejected = dataset.rejects(made_up_output)
    assert {one.reason.value for one in found.rejects} == {one["reason"] for one in rejected}
    records = {(one["source"], one["index"]): one["record"] for one in rejected}
    for one in found.rejects:
        assert records[one.source, one.index].startswith(one.record)


def test_long_records_are_shortened(tmp_path: Path) -> None:
    turns = [{"role": ("user", "assistant")[n % 2], "content": "long " * 2000} for n in range(30)]
    made = record("long")
    made["conversations"][1:] = turns
    shard = write_shard(tmp_path / "mat.json", [made])
    output = converted(shard, write_zip(tmp_path / "files.zip", {}), tmp_path / "out")
    (example,) = findings(output).examples
    assert sum(len(turn.text) for turn in example.turns) <= MAX_TEXT
    assert example.left_out + len(example.turns) == 30
    assert {len(turn.text) + turn.left_out for turn in example.turns} == {10_000}
    assert max(len(turn.text) for turn in example.turns) == MAX_TURN


def test_the_report_is_made_anew_without_inputs_or_notes(tmp_path: Path) -> None:
    records = [image_record("i", "a.jpg"), record("t"), image_record("g", "gone.jpg"), 5]
    shard = write_shard(tmp_path / "in" / "mat.json", records)
    zipped = write_zip(tmp_path / "in" / "files.zip", {"a.jpg": picture((700, 600))})
    output = converted(shard, zipped, tmp_path / "out")
    page = (output / "report.html").read_bytes()
    shutil.rmtree(tmp_path / "in")
    shutil.rmtree(output / "_beam_mat")
    (output / "report.html").unlink()
    ran = run("report", output)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out == f"Report in {output}/report.html\n"
    assert (output / "report.html").read_bytes() == page


def test_the_report_of_a_dataset_on_a_store(made_up_output: Path) -> None:
    store = fsspec.filesystem("memory")
    for name, data in dataset.everything(made_up_output).items():
        if name != "report.html":
            store.pipe_file(f"/report-of/{name}", data)
    ran = run("report", "memory://report-of", "--storage-options", '{"memory": {}}')
    assert (ran.code, ran.err) == (0, "")
    page = (made_up_output / "report.html").read_bytes()
    assert store.cat_file("/report-of/report.html") == page


def test_what_is_no_dataset_has_no_report(tmp_path: Path) -> None:
    ran = run("report", tmp_path)
    assert ran.code == 2
    assert f"{tmp_path} has no manifest.json, so it is not a finished dataset" in ran.err


def test_a_dataset_without_statistics_says_what_to_do(made_up_output: Path, tmp_path: Path) -> None:
    output = Path(shutil.copytree(made_up_output, tmp_path / "out"))
    (output / "statistics.json").unlink()
    ran = run("report", output)
    assert ran.code == 2
    said = "statistics.json does not exist; run the same beam-mat convert command again with"
    assert said in ran.err
    (output / "statistics.json").write_text('{"records": 5}')
    assert "was not written by this version of beam-mat" in run("report", output).err


def test_an_image_that_is_gone_is_named_and_not_drawn(made_up_output: Path, tmp_path: Path) -> None:
    output = Path(shutil.copytree(made_up_output, tmp_path / "out"))
    shutil.rmtree(output / "images")
    assert run("report", output).code == 0
    page = (output / "report.html").read_text("utf-8")
    assert "<figcaption>Image: tongagent/" in page
    assert "data:image/jpeg" not in page


def turn(role: str, text: str, *images: str) -> ShownTurn:
    return ShownTurn(role, text, 0, images)


def test_pictures_stand_where_their_placeholders_stand() -> None:
    found = list(pieces(turn("user", "<image>\nLeft of <image>?", "a.jpg", "b.jpg")))
    assert found == [("image", "a.jpg"), ("text", "Left of"), ("image", "b.jpg"), ("text", "?")]


def test_code_is_told_from_text() -> None:
    text = "Thought: So.\n\nCode:\n```py\nif a < b:\n    look()\n```\nDone."
    assert list(pieces(turn("assistant", text))) == [
        ("text", "Thought: So.\n\nCode:"),
        ("code", "if a < b:\n    look()"),
        ("text", "Done."),
    ]


def test_pictures_in_code_and_beyond_what_is_shown_follow() -> None:
    found = list(pieces(turn("user", "```\n<image>\n```\nthen", "a.jpg", "b.jpg")))
    assert found == [
        ("code", "<image>"),
        ("image", "a.jpg"),
        ("text", "then"),
        ("image", "b.jpg"),
    ]


def test_the_answers_of_tools_are_told_from_the_users_words() -> None:
    assert speaker(turn("user", "[OUTPUT OF STEP 0] Observation:\n5")) == "observation"
    assert speaker(turn("user", "Task: count")) == "user"
    assert speaker(turn("assistant", "Thought: Observation")) == "assistant"
