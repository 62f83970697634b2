"""What is wrong on a command line is told with the value, the cause and the cure."""

from __future__ import annotations

import pytest

from beam_mat.completion import COMMANDS
from tests.command import run

NEEDY = [name for name in COMMANDS if name != "doctor"]


@pytest.mark.parametrize("name", NEEDY)
def test_a_command_typed_alone_says_what_to_type(name: str) -> None:
    ran = run(name)
    assert (ran.code, ran.out) == (2, "")
    assert "usage:" not in ran.err
    assert "fault" not in ran.err
    assert "\n\nIt needs\n  " in ran.err
    assert f"\n\nType it as in\n  beam-mat {name} " in ran.err
    assert ran.err.endswith(f"\n\nbeam-mat {name} --help tells the rest.\n")
    assert len(ran.err.splitlines()) <= 14


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["covert"], "covert: no such command; did you mean convert? there are convert, "),
        (["frobnicate"], "frobnicate: no such command; there are convert, "),
        (["convert", "--json"], "--json: its value is missing; give one or more behind it; see"),
        (
            ["convert", "--ouput", "x"],
            "--ouput: no such option; did you mean --output? see beam-mat",
        ),
        (["convert", "--direct_num_worker=2"], "did you mean --direct_num_workers?"),
        (["convert", "--overwrite=yes"], "--overwrite=yes: it takes no value; leave =yes out; see"),
        (
            ["convert", "--direct_running_mode", "fast"],
            "--direct_running_mode fast: give one of ",
        ),
        (
            ["convert", "--direct_num_workers", "two"],
            "--direct_num_workers two: give a whole number, such as --direct_num_workers 10; see",
        ),
        (["check", "x", "--cutoff-len"], "--cutoff-len: its value is missing; give one behind it"),
        (["check", "x", "--modell", "qwen"], "--modell: no such option; did you mean --model? see"),
        (["check", "--json"], "DATASET is missing: name it first, as in beam-mat check dataset"),
        (
            ["verify", "a", "b"],
            "b: a word too many, no option takes it; see beam-mat verify --help",
        ),
        (
            ["verify", "--storage-options", "{}"],
            "OUTPUT is missing: name it, as in beam-mat verify",
        ),
        (["publish", "a", "--force"], "--force: no such option; see beam-mat publish --help"),
        (["sample", "a", "--records", "many"], "--records many: give a whole number, such as"),
        (["sample", "a", "--fault"], "--fault: no such option; did you mean --faults?"),
    ],
)
def test_a_fault_is_one_sentence_with_value_cause_and_cure(words: list[str], told: str) -> None:
    ran = run(*words)
    assert (ran.code, ran.out) == (2, "")
    assert "usage:" not in ran.err
    assert f"  {told}" in ran.err or told.startswith("did you mean")
    assert told in ran.err
