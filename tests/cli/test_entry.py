"""The command as a program: what it prints where, and how it ends."""

from __future__ import annotations

import importlib.metadata
import re
from pathlib import Path

import pytest

import beam_mat
from beam_mat.cli.convert import command_line
from beam_mat.cli.entry import COMMANDS
from beam_mat.core.location import Location
from beam_mat.runners.choose import pipeline_options
from tests import outputs as dataset
from tests.command import convert_words, spawn
from tests.making import record, write_shard, write_zip

OPTIONS = (
    "--json --images --output --max-pixels --min-pixels --rewrite --formats --val-fraction "
    "--limit --duplicates --exif --max-rejected --overwrite"
).split()


@pytest.fixture
def words(tmp_path: Path) -> list[str]:
    shard = write_shard(tmp_path / "mat.json", [record("1"), 2])
    return convert_words(shard, write_zip(tmp_path / "files.zip", {}), tmp_path / "out")


@pytest.mark.slow
def test_done_is_0_also_with_rejects(words: list[str], tmp_path: Path) -> None:
    ran = spawn(*words)
    assert ran.code == 0, ran.err
    assert ran.err == ""
    assert re.search(r"accepted\W+1\b", ran.out)
    assert re.search(r"not_an_object\W+1\W+mat.json record 1", ran.out)
    command = ran.out.splitlines()[-1]
    assert "llamafactory-cli train" in command
    assert f"dataset=mat dataset_dir={tmp_path}/out media_dir={tmp_path}/out" in command
    assert (tmp_path / "out" / "manifest.json").exists()


@pytest.mark.slow
def test_too_many_rejected_is_3(words: list[str], tmp_path: Path) -> None:
    ran = spawn(*words, "--max-rejected", "0.1")
    assert ran.code == 3
    assert ran.err.startswith("beam-mat: 1 of 2 records were rejected (50.00%")
    assert not (tmp_path / "out" / "manifest.json").exists()


@pytest.mark.slow
def test_anything_else_is_1(words: list[str], tmp_path: Path) -> None:
    # Its head is that of a zip, its directory says where nothing is.
    zipped = tmp_path / "files.zip"
    write_zip(zipped, {"1.jpg": b"x"})
    zipped.write_bytes(zipped.read_bytes().replace(b"PK\1\2", b"PK\0\0"))
    ran = spawn(*words)
    assert ran.code == 1
    assert ran.err.startswith(f"beam-mat: {zipped}: the zip cannot be read")
    assert ran.err.endswith("; download or pack it again\n")
    assert ran.err.count("\n") == 1


def test_every_fault_of_the_configuration_is_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "not.zip").write_bytes(b"not a zip")
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "file").write_bytes(b"")
    wrong = {
        "--json": f"{tmp_path}/none-*.json",
        "--images": f"{tmp_path}/not.zip",
        "--output": f"{tmp_path}/taken",
        "--max-pixels": "many",
        "--min-pixels": "0",
        "--rewrite": "nothing",
        "--formats": "csv",
        "--val-fraction": "1.5",
        "--limit": "-1",
        "--duplicates": "some",
        "--exif": "maybe",
        "--max-rejected": "all",
    }
    ran = spawn("convert", *[word for pair in wrong.items() for word in pair], "--colour", "--fast")
    assert ran.code == 2
    assert ran.out == ""
    first, *faults = ran.err.splitlines()
    assert first == f"beam-mat: {len(wrong) + 2} configuration errors:"
    told = {fault.split()[0]: fault for fault in faults}
    assert set(told) == {*wrong, "--colour:", "--fast:"}
    for option, value in wrong.items():
        assert value in told[option]


def test_what_is_missing_is_told_at_once() -> None:
    ran = spawn("convert", "--limit", "9")
    assert ran.code == 2
    for option in ("--json", "--images", "--output"):
        assert f"  {option} is missing: " in ran.err


def test_least_and_most_pixels_may_not_cross(words: list[str]) -> None:
    ran = spawn(*words, "--max-pixels", "1000", "--min-pixels", "1001")
    assert ran.code == 2
    assert "--min-pixels 1001 is more than --max-pixels" in ran.err


def test_options_are_not_abbreviated(words: list[str]) -> None:
    ran = spawn(*words, "--overw")
    assert ran.code == 2
    assert "--overw: unknown option" in ran.err


@pytest.mark.slow
def test_options_of_beam_pass_through(words: list[str], tmp_path: Path) -> None:
    ran = spawn(*words, "--job_name", "mine", "--direct_num_workers=1", "--save_main_session")
    assert ran.code == 0, ran.err
    ran = spawn(*words, "--overwrite", "--direct_running_mode", "nonsense")
    assert ran.code == 2
    assert "direct_running_mode" in ran.err


def test_beam_is_given_its_own_options_and_no_others() -> None:
    typed = ["--json", "a", "b", "--images", "c", "--output", "d", "--val-fraction", "0.1"]
    beams = ["--runner", "PrismRunner", "--streaming", "--experiments=a=b"]
    found, faults = command_line().parse([*typed, *beams])
    assert not faults
    assert (found.json, found.images, found.output) == (
        [Location("a"), Location("b")],
        [Location("c")],
        "d",
    )
    assert found.beam == ["--runner=PrismRunner", "--streaming", "--experiments=a=b"]
    options = pipeline_options(found.beam).get_all_options(drop_default=True)
    assert options == {"runner": "PrismRunner", "streaming": True, "experiments": ["a=b"]}


@pytest.mark.slow
def test_a_value_that_only_beam_understands_is_checked_by_beam(words: list[str]) -> None:
    ran = spawn(*words, "--transform_name_mapping", "{")
    assert ran.code == 2
    assert "--transform_name_mapping" in ran.err
    assert "usage" not in ran.err
    assert ran.err.count("\n") == 2


@pytest.mark.parametrize("words", [["--help"], ["-h"], ["help"]])
def test_help_names_the_commands(words: list[str]) -> None:
    ran = spawn(*words)
    assert (ran.code, ran.err) == (0, "")
    for command in COMMANDS:
        assert re.search(rf"^  {command} ", ran.out, re.MULTILINE)
    assert "Exit codes: 0 " in ran.out


@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help_of_convert_names_its_options_and_not_the_hundreds_of_beams(flag: str) -> None:
    ran = spawn("convert", flag)
    assert (ran.code, ran.err) == (0, "")
    for option in OPTIONS:
        assert re.search(rf"^  {option}\b", ran.out, re.MULTILINE), option
    assert ran.out.startswith("usage: beam-mat convert")
    assert "--worker_harness_container_image" not in ran.out


def test_help_of_sample_names_its_options() -> None:
    ran = spawn("sample", "--help")
    assert (ran.code, ran.err) == (0, "")
    for option in ("--records", "--images", "--shards", "--seed", "--faults"):
        assert option in ran.out


def test_version() -> None:
    ran = spawn("--version")
    assert (ran.code, ran.out) == (0, f"beam-mat {beam_mat.__version__}\n")


def test_no_words_are_a_fault() -> None:
    ran = spawn()
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("usage: beam-mat COMMAND")


def test_an_unknown_command_is_a_fault() -> None:
    ran = spawn("transmogrify", "--output", "x")
    assert ran.code == 2
    assert "transmogrify: unknown command; the commands are convert, " in ran.err


@pytest.mark.slow
def test_what_sample_makes_converts(tmp_path: Path) -> None:
    made = spawn("sample", tmp_path / "set", "--records", "9", "--images", "3", "--shards", "2")
    assert made.code == 0, made.err
    assert made.out == f"9 records in {tmp_path}/set\n"
    words = convert_words(tmp_path / "set/*.json", tmp_path / "set/files.zip", tmp_path / "out")
    assert spawn(*words).code == 0
    assert dataset.manifest(tmp_path / "out")["counts"]["accepted"] == 9


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (["--images", "-1"], "--images -1: give a whole number of at least 0"),
        (["--shards", "0"], "--shards 0: give a whole number of at least 1"),
        (["--records", "many"], "--records many: give a whole number"),
        (["--colour"], "--colour: unknown option"),
    ],
)
def test_faults_of_sample(tmp_path: Path, options: list[str], why: str) -> None:
    ran = spawn("sample", tmp_path / "set", *options)
    assert ran.code == 2
    assert why in ran.err
    assert not (tmp_path / "set").exists()


def test_sample_keeps_off_other_files(tmp_path: Path) -> None:
    (tmp_path / "mine").write_bytes(b"")
    ran = spawn("sample", tmp_path)
    assert ran.code == 2
    assert f"{tmp_path} is not empty" in ran.err
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_the_installed_command_is_this_program() -> None:
    found = importlib.metadata.entry_points(group="console_scripts", name="beam-mat")
    if not found:
        pytest.skip("beam-mat is not installed here")
    (entry,) = found
    assert entry.value == "beam_mat.cli:main"
    assert entry.load()(["--version"]) == 0
