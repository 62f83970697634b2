"""What check says of a dataset is what LLaMA-Factory does: no false alarms and no misses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from beam_mat.core.contract.finding import Kind, Severity
from tests.command import run
from tests.llamafactory.cases import CASES, DRIFT, Case
from tests.llamafactory.cases.case import two
from tests.llamafactory.conftest import Reader
from tests.rows import entry, lines, text, write

pytestmark = pytest.mark.llamafactory


def made(folder: Path, case: Case) -> Path:
    """The case's dataset."""
    whole = isinstance(case.entry, bytes)
    return write(folder, case.files, case.entry if whole else {"d": case.entry})


def checked(folder: Path, case: Case) -> set[Kind]:
    """What check finds, and by its exit code that it found something."""
    cutoff = case.more.get("cutoff_len")
    model = ["--model", "qwen2_vl", "--cutoff-len", cutoff] if cutoff else []
    ran = run("check", folder, "--name", "d", "--json", *model)
    assert ran.code in (0, 3), ran.err
    found = {Kind(item["kind"]) for item in json.loads(ran.out)["violations"]}
    assert (ran.code == 3) == bool(found)
    return found


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_check_and_llamafactory_agree(reader: Reader, tmp_path: Path, case: Case) -> None:
    folder = made(tmp_path, case)
    assert checked(folder, case) == case.kinds
    answer = reader.train(folder, "d", **case.more)
    if case.kept is None:
        assert "error" in answer, f"{len(answer['rows'])} rows came through"
        assert case.says in answer["error"]
    else:
        assert "rows" in answer, answer["error"]
        assert len(answer["rows"]) == case.kept
    # A stretch of texts fails or not, as the number of workers and the order of files will have it.
    costs = {kind.about.severity for kind in case.kinds} - {Severity.DEGRADED}
    if case.kept is None:
        assert Severity.FAILS in costs or case.kinds == {Kind.TEXT_STRETCH}
    else:
        assert Severity.FAILS not in costs


def test_every_kind_has_its_proof() -> None:
    # No file is known on which today's decoders crash: see tests/convert/test_crashing_images.py.
    without = {Kind.IMAGE_CRASHES_DECODER, Kind.IMAGE_TOO_SLOW}
    assert {kind for case in CASES for kind in case.kinds} == set(Kind) - without


@pytest.mark.parametrize(("name", "first", "second", "stops"), DRIFT, ids=str)
def test_types_are_cast_from_one_file_to_the_other_as_check_says(
    reader: Reader, tmp_path: Path, name: str, first: Any, second: Any, stops: bool
) -> None:
    """Check tells of both orders in which the files may be read; here each is looked at."""
    files = two(lines(text(n=first)), lines(text(n=second)))
    folder = write(tmp_path, files, {"d": entry("d")})
    said = json.loads(run("check", folder, "--json").out)["violations"]
    drifts = [place["file"] for item in said for place in item["first"]]
    for order, late in (("sorted", "b.jsonl"), ("reversed", "a.jsonl")):
        answer = reader.train(folder, "d", order=order)
        assert ("error" in answer) == (str(tmp_path / "d" / late) in drifts), answer
    assert (str(tmp_path / "d" / "b.jsonl") in drifts) == stops
