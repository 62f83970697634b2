"""Which checkpoints are whole. Made byte by byte; `tests/worker/test_resume.py` has real ones."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mat_trainer.core import checkpoint as core
from mat_trainer.core.errors import ConfigError
from mat_trainer.launch.checkpoints import AUTO, NEVER, examine, fault, prepare, rotated


def safetensors(sizes: list[int]) -> bytes:
    """A file of tensors of so many bytes each."""
    entries: dict[str, object] = {"__metadata__": {"format": "pt"}}
    at = 0
    for number, size in enumerate(sizes):
        offsets = [at, at + size]
        entries[f"w{number}"] = {"dtype": "U8", "shape": [size], "data_offsets": offsets}
        at += size
    header = json.dumps(entries).encode()
    return len(header).to_bytes(8, "little") + header + bytes(at)


def torch_file(file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("archive/data.pkl", bytes(range(256)) * 8)


def state(folder: Path, step: int) -> None:
    words = {"global_step": step, "max_steps": 100, "log_history": [{"loss": 1.5}]}
    folder.joinpath(core.STATE).write_text(json.dumps(words))


def checkpoint(output: Path, step: int, weights: str = "adapter_model.safetensors") -> Path:
    """A whole one, as one process saves it."""
    folder = output / f"checkpoint-{step}"
    folder.mkdir(parents=True)
    folder.joinpath(weights).write_bytes(safetensors([64, 0, 1000]))
    for name in ("optimizer.pt", "scheduler.pt", "rng_state.pth", "training_args.bin"):
        torch_file(folder / name)
    state(folder, step)
    return folder


def sharded(output: Path, step: int) -> Path:
    folder = checkpoint(output, step, "model-00001-of-00002.safetensors")
    folder.joinpath("model-00002-of-00002.safetensors").write_bytes(safetensors([8]))
    index = {f"w{n}": f"model-0000{n}-of-00002.safetensors" for n in (1, 2)}
    words = {"metadata": {"total_size": 1072}, "weight_map": index}
    folder.joinpath("model.safetensors.index.json").write_text(json.dumps(words))
    return folder


def deepspeed(output: Path, step: int) -> Path:
    folder = checkpoint(output, step, "model.safetensors")
    folder.joinpath("optimizer.pt").unlink()
    folder.joinpath("rng_state.pth").unlink()
    for rank in range(3):
        torch_file(folder / f"rng_state_{rank}.pth")
        part = folder / f"global_step{step}"
        torch_file(part / f"bf16_zero_pp_rank_{rank}_mp_rank_00_optim_states.pt")
        torch_file(part / f"zero_pp_rank_{rank}_mp_rank_00_model_states.pt")
    folder.joinpath("latest").write_text(f"global_step{step}")
    return folder


KINDS = (checkpoint, sharded, deepspeed)


@pytest.mark.parametrize("make", KINDS)
def test_the_newest_whole_one_is_taken_by_number(
    tmp_path: Path, make: Callable[[Path, int], Path]
) -> None:
    for step in (20, 100, 3):
        make(tmp_path, step)
    assert examine(tmp_path, AUTO).last == tmp_path / "checkpoint-100"


@pytest.mark.parametrize(
    ("make", "name"),
    [
        *((make, "trainer_state.json") for make in KINDS),
        (checkpoint, "adapter_model.safetensors"),
        (checkpoint, "optimizer.pt"),
        (checkpoint, "scheduler.pt"),
        (checkpoint, "rng_state.pth"),
        (sharded, "model.safetensors.index.json"),
        (sharded, "model-00001-of-00002.safetensors"),
        (sharded, "model-00002-of-00002.safetensors"),
        (deepspeed, "latest"),
        (deepspeed, "rng_state_1.pth"),
        (deepspeed, "global_step7/bf16_zero_pp_rank_0_mp_rank_00_optim_states.pt"),
        (deepspeed, "global_step7/zero_pp_rank_1_mp_rank_00_model_states.pt"),
    ],
)
def test_without_any_one_of_its_files_it_is_not_whole(
    tmp_path: Path, make: Callable[[Path, int], Path], name: str
) -> None:
    folder = make(tmp_path, 7)
    assert fault(folder) is None
    folder.joinpath(name).unlink()
    assert fault(folder) is not None


@pytest.mark.parametrize("make", KINDS)
def test_a_file_that_breaks_off_makes_it_half_written(
    tmp_path: Path, make: Callable[[Path, int], Path]
) -> None:
    names = [file for file in make(tmp_path / "0", 7).rglob("*") if file.is_file()]
    for number, file in enumerate(names, start=1):
        if file.name == "latest":
            continue
        folder = make(tmp_path / str(number), 7)
        cut = tmp_path / str(number) / file.relative_to(tmp_path / "0")
        cut.write_bytes(cut.read_bytes()[:-1])
        why = fault(folder)
        assert why is not None, cut
        assert cut.name in why


def test_half_written_ones_are_set_aside_and_nothing_is_removed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint(tmp_path, 10)
    checkpoint(tmp_path, 20).joinpath(core.STATE).unlink()
    checkpoint(tmp_path, 30).joinpath("optimizer.pt").write_bytes(b"PK\x03\x04")
    (tmp_path / "incomplete-checkpoint-20").mkdir()
    assert prepare(tmp_path, AUTO) == tmp_path / "checkpoint-10"
    assert sorted(folder.name for folder in tmp_path.iterdir()) == [
        "checkpoint-10",
        "incomplete-checkpoint-20",
        "incomplete-checkpoint-20-2",
        "incomplete-checkpoint-30",
    ]
    assert (tmp_path / "incomplete-checkpoint-20-2" / "optimizer.pt").exists()
    said = capsys.readouterr().err
    assert "checkpoint-20 has no trainer_state.json" in said
    assert "checkpoint-30 has an incomplete optimizer.pt" in said


def test_a_state_of_another_step_is_no_state(tmp_path: Path) -> None:
    state(checkpoint(tmp_path, 10), 9)
    assert fault(tmp_path / "checkpoint-10") == "has a trainer_state.json of step 9"


def test_weights_alone_are_left_in_place_and_told(tmp_path: Path) -> None:
    folder = checkpoint(tmp_path, 10)
    for name in ("optimizer.pt", "scheduler.pt", "rng_state.pth"):
        folder.joinpath(name).unlink()
    with pytest.raises(ConfigError, match="save_only_model"):
        examine(tmp_path, AUTO)
    assert folder.exists()


def test_nothing_there_begins_anew(tmp_path: Path) -> None:
    assert prepare(tmp_path / "new", AUTO) is None
    assert prepare(tmp_path / "new", NEVER) is None
    assert not (tmp_path / "new").exists()


def test_a_model_without_a_checkpoint_is_not_trained_over_unasked(tmp_path: Path) -> None:
    (tmp_path / "adapter_model.safetensors").write_bytes(safetensors([1]))
    with pytest.raises(ConfigError, match="--resume never"):
        prepare(tmp_path, AUTO)
    assert prepare(tmp_path, NEVER) is None


def test_never_leaves_no_checkpoint_to_be_taken_for_a_new_one(tmp_path: Path) -> None:
    checkpoint(tmp_path, 10)
    (tmp_path / "trainer_log.jsonl").write_text('{"current_steps": 10, "loss": 1.0}\n')
    assert prepare(tmp_path, NEVER) is None
    assert prepare(tmp_path, AUTO) is None
    assert (tmp_path / "earlier-checkpoint-10" / core.STATE).exists()
    assert (tmp_path / "trainer_log.jsonl").read_text() == ""


@pytest.mark.parametrize("resume", [AUTO, NEVER])
def test_no_folder_that_is_set_aside_has_a_name_that_transformers_rotates(
    tmp_path: Path, resume: str
) -> None:
    checkpoint(tmp_path, 10)
    checkpoint(tmp_path, 20).joinpath(core.STATE).unlink()
    # As earlier versions named them.
    for name in ("checkpoint-5.earlier", "checkpoint-5.earlier-2", "checkpoint-7.incomplete"):
        (tmp_path / name).mkdir()
    (tmp_path / "checkpoint-10-best").mkdir()
    assert rotated(tmp_path) == ["checkpoint-10-best"]
    prepare(tmp_path, resume)
    kept = {"checkpoint-10"} if resume == AUTO else set()
    assert {path.name for path in tmp_path.glob("checkpoint-*")} == kept | {"checkpoint-10-best"}
    assert {path.name for path in tmp_path.glob("*-checkpoint-*")} == {
        "earlier-checkpoint-5",
        "earlier-checkpoint-5-2",
        "incomplete-checkpoint-7",
        *(("incomplete-checkpoint-20",) if resume == AUTO else ()),
        *(("earlier-checkpoint-10", "earlier-checkpoint-20") if resume == NEVER else ()),
    }


@pytest.mark.parametrize("make", KINDS)
def test_zeros_inside_make_it_damaged(tmp_path: Path, make: Callable[[Path, int], Path]) -> None:
    for number, name in enumerate(
        path.name for path in make(tmp_path / "0", 7).rglob("*.pt*") if path.is_file()
    ):
        (file,) = make(tmp_path / str(number + 1), 7).rglob(name)
        data = bytearray(file.read_bytes())
        data[500:1500] = bytes(1000)
        file.write_bytes(data)
        why = fault(tmp_path / str(number + 1) / "checkpoint-7")
        assert why is not None
        assert why.startswith("has a damaged ")
        assert name in why


def test_the_log_ends_where_training_goes_on(tmp_path: Path) -> None:
    checkpoint(tmp_path, 2)
    lines = [f'{{"current_steps": {step}, "loss": {step}.5}}\n' for step in (1, 2, 3, 4)]
    log = tmp_path / "trainer_log.jsonl"
    log.write_text("".join(lines) + '{"current_steps": 5, "lo')
    assert prepare(tmp_path, AUTO) == tmp_path / "checkpoint-2"
    assert log.read_text() == "".join(lines[:2])
    aside = tmp_path / "trainer_log.earlier.jsonl"
    assert aside.read_text() == "".join(lines[2:]) + '{"current_steps": 5, "lo\n'
    assert prepare(tmp_path, AUTO) == tmp_path / "checkpoint-2"
    assert log.read_text() == "".join(lines[:2])


@given(sizes=st.lists(st.integers(0, 300), max_size=5), cut=st.integers(1, 1000))
def test_a_safetensors_file_has_the_size_that_its_header_tells(sizes: list[int], cut: int) -> None:
    whole = safetensors(sizes)
    length = core.header_bytes(whole[:8])
    assert length is not None
    header = whole[8 : 8 + length]
    assert core.safetensors_fault(header, len(whole)) is None
    assert core.safetensors_fault(header, len(whole) - cut) is not None
    assert core.safetensors_fault(header[:-1], len(whole)) is not None


@given(head=st.binary(max_size=9))
def test_eight_bytes_of_anything_are_no_reason_to_read_gigabytes(head: bytes) -> None:
    size = core.header_bytes(head)
    assert size is None or 2 <= size <= 100_000_000
