"""The table at the end, and the command to type next."""

from __future__ import annotations

import io
import re
import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec
import pytest
from rich.console import Console

from beam_mat.core.reject import Reason, Reject
from beam_mat.core.results import Part, RejectCount
from beam_mat.core.statistics import PixelBoxes, Statistics
from beam_mat.dataset.commit import Content, ImageTotals, counts_of
from beam_mat.report import printed
from tests.dataset.made import shard


def content(accepted: int = 3, rejected: Iterable[RejectCount] = ()) -> Content:
    lost = tuple(rejected)
    images = ImageTotals(
        {"kept": 1, "resized": 2, "image_missing": 1},
        2_500_000,
        1_200_000,
    )
    records = accepted + sum(found.count for found in lost)
    made = shard("mat", images=accepted, records=records, respelled=7)
    made = msgspec.structs.replace(made, rejected=lost)
    return Content({made.uri: made}, counts=counts_of([made], images))


def first(reason: Reason, count: int, detail: str, id: str | None = "x1") -> RejectCount:
    return RejectCount(reason, count, Reject(reason, detail, "/in/mat.json", 12, 0, 9, id, ""))


def shown(made: Content, spent: Mapping[str, float] | None = None, width: int = 120) -> str:
    out = io.StringIO()
    printed.print_summary(Console(file=out, width=width), "/o ut", made, 12.34, spent or {})
    return out.getvalue()


def test_counts_are_shown() -> None:
    text = shown(content(accepted=1234))
    for name, value in {
        "input": "1,234",
        "accepted": "1,234",
        "rejected": "0",
        "words respelled": "7",
        "requested": "4",
        "kept": "1",
        "resized": "2",
        "image_missing": "1",
        "bytes before": "2.5 MB",
        "bytes after": "1.2 MB",
    }.items():
        assert re.search(rf"│ {name} +│ +{re.escape(value)} │", text), name


def test_each_reason_is_shown_with_its_first_record() -> None:
    rejected = [
        first(Reason.IMAGE_MISSING, 1500, "'a.jpg' is in none"),
        first(Reason.NO_ID, 2, "the record has no key 'id'", id=None),
    ]
    text = shown(content(3, rejected))
    assert re.search(r"no_id +│ +2 │ mat.json record 12: the record has no key 'id'", text)
    assert re.search(r"image_missing +│ +1,500 │ mat.json record 12 \(id x1\): 'a.jpg' is", text)
    # In the order of the enumeration, whatever the order in which they were found.
    assert text.index("no_id") < text.index("image_missing")


def test_of_several_shards_the_first_has_the_example() -> None:
    a, b = (shard(name, order=order, rejected=2) for order, name in enumerate("ab"))
    counts = counts_of([b, a], ImageTotals({}, 0, 0))
    text = shown(Content({b.uri: b, a.uri: a}, counts=counts))
    assert re.search(r"not_an_object +│ +4 │ a.json record 0", text)


def test_what_stands_in_a_record_is_no_markup() -> None:
    nasty = "turn 1 has role '[bold red]\n[/nothing]'"
    text = shown(content(3, [first(Reason.UNKNOWN_ROLE, 1, nasty, "[i]")]))
    assert "(id [i]): turn 1 has role '[bold red] [/nothing]'" in text


def test_what_stands_in_a_record_moves_no_cursor() -> None:
    nasty = [first(Reason.NO_TURNS, 1, "\x1b[2J", "\x1b]0;owned\x07\u202e")]
    assert r"(id \x1b]0;owned\x07\u202e): \x1b[2J" in shown(content(3, nasty), width=200)


def test_a_long_detail_is_cut() -> None:
    text = shown(content(3, [first(Reason.NO_ID, 1, "d" * 500)]), width=400)
    assert f"{'d' * printed.MAX_EXAMPLE}…" in text
    assert "d" * (printed.MAX_EXAMPLE + 1) not in text


def test_time_is_shown_by_step_on_one_line() -> None:
    spent = {"mix": 0.5, "images": 8.0, "split": 1.26, "unheard of": 1.0, "write": 2.0}
    text = shown(content(), {**spent, "request": 3.0, "catalog": 0.04}, width=40)
    assert text.splitlines()[-1] == (
        "Time: 12.3 s (split 1.3 s, request 3.0 s, catalog 0.0 s, images 8.0 s, write 2.0 s, "
        "mix 0.5 s)"
    )


def test_boxes_that_may_not_fit_are_warned_of_once() -> None:
    assert "boxes" not in shown(content())
    made = content()
    (one,) = made.shards.values()
    statistics = Statistics(pixel_boxes=PixelBoxes(1200, ("-a", "b[c]\u202e")))
    again = msgspec.structs.replace(one, uri="/in/b.json", statistics=statistics)
    other = Statistics(pixel_boxes=PixelBoxes(1, ("it's",)))
    more = msgspec.structs.replace(one, uri="/in/c.json", statistics=other)
    text = shown(Content({"b": again, "c": more}, counts=made.counts), width=40)
    (warning,) = (line for line in text.splitlines() if "Warning" in line)
    assert "1,201 accepted records have resized images" in warning
    commands = [shlex.split(line) for line in text.splitlines() if "beam-mat show" in line]
    assert {tuple(words) for words in commands} == {
        ("beam-mat", "show", "/o ut", id) for id in ("--id=-a", r"--id=b[c]\u202e", "--id=it's")
    }


def test_a_runner_that_tells_no_times() -> None:
    assert shown(content()).splitlines()[-1] == "Time: 12.3 s"


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ([("jsonl", "train"), ("parquet", "train"), ("jsonl", "val")], "mat"),
        ([("parquet", "train")], "mat_parquet"),
        ([("jsonl", "val"), ("parquet", "val")], "mat_val"),
    ],
)
def test_the_next_command_trains_on_what_there_is(
    written: list[tuple[str, str]], name: str
) -> None:
    parts = [Part("p", format, split, 3, 1, 9, "0") for format, split in written]
    said = printed.next_command("/data/my out", parts)
    command = shlex.split(said.splitlines()[-1].partition(": ")[2])
    place = Path("/data/my out")
    assert command == [
        *("llamafactory-cli", "train", "YOUR.yaml", f"dataset={name}"),
        *(f"dataset_dir={place}", f"media_dir={place}"),
    ]


def test_entries_without_images_are_named_last() -> None:
    images = {"": 0, "noid": 3, "tools": 0, "tools_noid": 1}
    parts = [Part("p", "jsonl", "train", 3, n, 9, "0", subset) for subset, n in images.items()]
    said = printed.next_command("/data/out", parts)
    assert " dataset=mat_noid,mat_tools_noid,mat,mat_tools " in said


def test_without_a_record_there_is_nothing_to_train_on() -> None:
    said = printed.next_command("/data/out", [])
    assert said == "No record was accepted; the reasons are in /data/out/rejects"
