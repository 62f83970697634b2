"""Each error of a command line names the value, the cause and the cure."""

from __future__ import annotations

import pytest

from beam_mat.cli.entry import COMMANDS
from tests.command import run

NEEDY = [name for name in COMMANDS if name not in ("doctor", "schemas")]


@pytest.mark.parametrize("name", NEEDY)
def test_a_command_typed_alone_says_what_to_type(name: str) -> None:
    ran = run(name)
    assert (ran.code, ran.out) == (2, "")
    assert "usage:" not in ran.err
    assert "error" not in ran.err
    assert "\n\nIt needs\n  " in ran.err
    assert f"\n\nFor example\n  beam-mat {name} " in ran.err
    assert ran.err.endswith(f"\n\nbeam-mat {name} --help lists all options.\n")
    assert len(ran.err.splitlines()) <= 14


FAULTS: list[tuple[list[str], str]] = [
    (["covert"], "covert: unknown command; did you mean convert? the commands are convert, "),
    (["frobnicate"], "frobnicate: unknown command; the commands are convert, "),
    (
        ["convert", "--json"],
        "--json: the value is missing; write one or more after --json; see",
    ),
    (
        ["convert", "--ouput", "x"],
        "--ouput: unknown option; did you mean --output? see beam-mat",
    ),
    (["convert", "--direct_num_worker=2"], "did you mean --direct_num_workers?"),
    (
        ["convert", "--overwrite=yes"],
        "--overwrite=yes: this option takes no value; remove =yes; see",
    ),
    (
        ["convert", "--direct_running_mode", "fast"],
        "--direct_running_mode fast: give one of ",
    ),
    (
        ["convert", "--direct_num_workers", "two"],
        "--direct_num_workers two: give a whole number, such as --direct_num_workers 10; see",
    ),
    (
        ["check", "x", "--cutoff-len"],
        "--cutoff-len: the value is missing; write it after --cutoff-len",
    ),
    (["check", "x", "--modell", "qwen"], "--modell: unknown option; did you mean --model? see"),
    (
        ["check", "--json"],
        "DATASET is missing: name it first, for example beam-mat check dataset",
    ),
    (
        ["verify", "a", "b"],
        "b: unexpected argument; see beam-mat verify --help",
    ),
    (
        ["verify", "--storage-options", "{}"],
        "OUTPUT is missing: name it, for example beam-mat verify",
    ),
    (["publish", "a", "--force"], "--force: unknown option; see beam-mat publish --help"),
    (["sample", "a", "--records", "many"], "--records many: give a whole number of at least 0"),
    (["sample", "a", "--fault"], "--fault: unknown option; did you mean --faults?"),
]


@pytest.mark.parametrize(("words", "told"), FAULTS)
def test_a_fault_is_one_sentence_with_value_cause_and_cure(words: list[str], told: str) -> None:
    ran = run(*words)
    assert (ran.code, ran.out) == (2, "")
    assert "usage:" not in ran.err
    assert f"  {told}" in ran.err or told.startswith("did you mean")
    assert told in ran.err
