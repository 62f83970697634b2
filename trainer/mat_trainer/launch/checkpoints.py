"""Finds the checkpoint to resume from, and hides the others from LLaMA-Factory."""

from __future__ import annotations

import re
import sys
import zipfile
import zlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TypeVar

import msgspec

from mat_trainer.core import checkpoint as core
from mat_trainer.core.errors import ConfigError
from mat_trainer.launch.trainer_log import keep_until

T = TypeVar("T")
AUTO = "auto"
NEVER = "never"
INCOMPLETE = "incomplete"
EARLIER = "earlier"
"""Names of folders that are set aside begin so: transformers deletes old ``checkpoint-*``."""

_ASIDE = re.compile(rf"({INCOMPLETE}|{EARLIER})-checkpoint-\d+(-\d+)?")
_BEFORE = re.compile(rf"checkpoint-\d+\.({INCOMPLETE}|{EARLIER})(-\d+)?")


class _DamagedError(Exception):
    """A file of a checkpoint cannot be read; the message is the fault."""


def prepare(output_dir: Path, resume: str) -> Path | None:
    """Prepares an output folder for a launch. Only node 0 does this.

    LLaMA-Factory resumes from the checkpoint with the highest number, complete or not. So
    incomplete ones are renamed to ``incomplete-checkpoint-500``. If `resume` is ``never``, all are
    renamed to ``earlier-checkpoint-500``. Nothing is deleted, also not by ``save_total_limit``,
    which deletes folders whose names begin with ``checkpoint-``. The lines of ``trainer_log.jsonl``
    about steps that will be repeated are moved to another file.

    Args:
        output_dir: The folder; it need not exist.
        resume: ``auto`` resumes from the last complete checkpoint, if there is one; ``never``
            begins anew.

    Returns:
        The absolute path of the checkpoint to resume from; None to begin anew.

    Raises:
        ConfigError: As in `examine`.
    """
    found = examine(output_dir, resume)
    for folder, why in found.damaged:
        _set_aside(folder, INCOMPLETE, why)
    for folder in found.unused:
        _set_aside(folder, EARLIER, "is not used, because of --resume never")
    for folder in _set_aside_before(output_dir):
        number, word = folder.name.removeprefix("checkpoint-").split(".", 1)
        _rename(folder, word.partition("-")[0], f"checkpoint-{number}")
    keep_until(output_dir, step_of(found.last) if found.last else 0)
    return found.last


class Found(msgspec.Struct, frozen=True):
    """The checkpoints of an output folder.

    Attributes:
        last: The absolute path of the one to resume from; None to begin anew.
        damaged: Incomplete ones, newer than `last`, and why.
        unused: Those that are not used although they may be complete.
    """

    last: Path | None = None
    damaged: tuple[tuple[Path, str], ...] = ()
    unused: tuple[Path, ...] = ()


def examine(output_dir: Path, resume: str) -> Found:
    """Finds the checkpoint to resume from, by the contents of its files. Changes nothing.

    Raises:
        ConfigError: The newest complete one has weights only (``save_only_model``), or the folder
            has a model but no checkpoint that training can resume from.
    """
    if resume == NEVER:
        return Found(unused=tuple(_checkpoints(output_dir)))
    damaged = []
    for folder in _checkpoints(output_dir):
        why = fault(folder)
        if why is not None:
            damaged.append((folder, why))
        elif _has_optimizer(folder):
            return Found(folder.resolve(), tuple(damaged))
        else:
            raise ConfigError(
                f"{folder} has only weights (save_only_model), so training cannot resume from "
                "it; choose another --output-dir, or use --resume never",
            )
    if model := next(_weights(output_dir), None):
        raise ConfigError(
            f"--output-dir {output_dir} has {model} but no checkpoint to resume from: choose "
            "another folder, or use --resume never to train anew and replace the model",
        )
    return Found(damaged=tuple(damaged))


def rotated(output_dir: Path) -> list[str]:
    """Folders that `save_total_limit` would delete although they are no checkpoints.

    Such as ``checkpoint-500-best``. Those of earlier versions of this program are renamed in time.
    """
    if not output_dir.is_dir():
        return []
    ours = {*_checkpoints(output_dir), *_set_aside_before(output_dir)}
    found = [path for path in output_dir.glob("checkpoint-*") if path.is_dir()]
    return sorted(path.name for path in found if path not in ours)


def exist(output_dir: Path) -> bool:
    """Whether there is any checkpoint, complete or not."""
    return bool(_checkpoints(output_dir))


def newest(output_dir: Path) -> Path | None:
    """The checkpoint with the highest number that was written to its end, or seems so."""
    found = (folder for folder in _checkpoints(output_dir) if (folder / core.STATE).is_file())
    return next(found, None)


def aside(output_dir: Path) -> list[Path]:
    """Folders that were set aside, and the incomplete checkpoints that will be."""
    if not output_dir.is_dir():
        return []
    named = [path for path in output_dir.iterdir() if _ASIDE.fullmatch(path.name)]
    broken = [path for path in _checkpoints(output_dir) if not (path / core.STATE).is_file()]
    return sorted([*named, *broken, *_set_aside_before(output_dir)])


def model_in(output_dir: Path) -> str | None:
    """A file of weights in the folder itself; None if there is none."""
    return next(_weights(output_dir), None)


def fault(folder: Path) -> str | None:
    """Why a checkpoint is incomplete; None if it is complete."""
    try:
        return next(_faults(folder), None)
    except _DamagedError as error:
        return str(error)
    except OSError as error:
        return f"cannot be read: {error}"


def _faults(folder: Path) -> Iterator[str]:
    yield from _state_faults(folder)
    yield from _weight_faults(folder)
    if _has_optimizer(folder):
        yield from _deepspeed_faults(folder)
        if not any(folder.glob("rng_state*.pth")):
            yield "has no rng_state of any rank"
    names = [file.name for file in folder.iterdir()]
    for rank in core.missing_ranks(names, r"rng_state_(\d+)\.pth"):
        yield f"has no rng_state_{rank}.pth"
    for file in sorted([*folder.rglob("*.pt"), *folder.rglob("*.pth"), *folder.glob("*.bin")]):
        if not zipfile.is_zipfile(file):  # torch.save writes a zip, its directory last
            yield f"has an incomplete {file.relative_to(folder)}"
        elif not _is_sound(file):
            yield f"has a damaged {file.relative_to(folder)}"


def _state_faults(folder: Path) -> Iterator[str]:
    file = folder / core.STATE
    if not file.is_file():
        yield f"has no {core.STATE}, which is written last"
    elif (step := _decoded(file, core.State).global_step) != step_of(folder):
        yield f"has a {core.STATE} of step {step}"


def weight_fault(folder: Path) -> str | None:
    """Why the weights in a folder are incomplete; None if they are complete, or there are none."""
    try:
        return next(_file_faults_of(folder, set(_weights(folder))), None)
    except _DamagedError as error:
        return str(error)


def _file_faults_of(folder: Path, names: set[str]) -> Iterator[str]:
    for index in [name for name in names if name.endswith(".json")]:
        names |= {*_decoded(folder / index, core.Index).weight_map.values()} - {index}
    for name in sorted(names):
        yield from _file_faults(folder / name)


def _weight_faults(folder: Path) -> Iterator[str]:
    names = set(_weights(folder))
    yield from _file_faults_of(folder, names)
    if (folder / core.CHECKSUMS).is_file():
        for name, crc32 in _decoded(folder / core.CHECKSUMS, dict[str, int]).items():
            if (folder / name).is_file() and _crc32(folder / name) != crc32:
                yield f"has a damaged {name}"
    if not (names or _is_deepspeed(folder) or any(folder.glob("pytorch_model_fsdp*"))):
        yield "has no weights"


def _is_sound(file: Path) -> bool:
    status = file.stat()
    return _is_sound_as_of(file, status.st_size, status.st_mtime_ns)


@cache
def _is_sound_as_of(file: Path, _bytes: int, _mtime_ns: int) -> bool:
    """Whether the contents have their checksums. After a crash a file may have zeros inside."""
    try:
        with zipfile.ZipFile(file) as archive:
            return archive.testzip() is None
    except (zipfile.BadZipFile, EOFError, ValueError, NotImplementedError):
        return False


def _crc32(file: Path) -> int:
    status = file.stat()
    return _crc32_as_of(file, status.st_size, status.st_mtime_ns)


@cache
def _crc32_as_of(file: Path, _bytes: int, _mtime_ns: int) -> int:
    value = 0
    with file.open("rb") as source:
        while block := source.read(1 << 22):
            value = zlib.crc32(block, value)
    return value


def _decoded(file: Path, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(file.read_bytes(), type=kind)
    except msgspec.DecodeError as error:
        raise _DamagedError(f"has a {file.name} that cannot be read ({error})") from None


def _weights(folder: Path) -> Iterator[str]:
    """The files of weights in a folder, and of their indexes."""
    for stem in core.WEIGHTS:
        for end in ("safetensors", "safetensors.index.json", "bin", "bin.index.json"):
            if (folder / f"{stem}.{end}").is_file():
                yield f"{stem}.{end}"


def _file_faults(file: Path) -> Iterator[str]:
    if not file.is_file():
        yield f"has no {file.name}, which its index names"
        return
    if file.suffix != ".safetensors":
        return  # torch's own format, checked with the others
    with file.open("rb") as source:
        size = core.header_bytes(source.read(8))
        why = "has no header"
        if size is not None:
            why = core.safetensors_fault(source.read(size), file.stat().st_size) or ""
    if why:
        yield f"has a {file.name} that {why}"


def _deepspeed_faults(folder: Path) -> Iterator[str]:
    if not _is_deepspeed(folder):
        for name in ("optimizer.pt", "scheduler.pt"):
            if not (folder / name).is_file() and not any(folder.glob("optimizer_[0-9]*")):
                yield f"has no {name}"
        return
    latest = folder / core.DEEPSPEED_LATEST
    if not latest.is_file():
        yield f"has no file {core.DEEPSPEED_LATEST}, which DeepSpeed writes last"
        return
    part = folder / latest.read_text().strip()
    names = [file.name for file in part.iterdir()] if part.is_dir() else []
    for kind in ("model_states", "optim_states"):
        if not any(name.endswith(f"_{kind}.pt") for name in names):
            yield f"has no {kind} in {part.name}"
        for rank in core.missing_ranks(names, rf".*zero_pp_rank_(\d+)_.*_{kind}\.pt"):
            yield f"has no {kind} of rank {rank} in {part.name}"


def _is_deepspeed(folder: Path) -> bool:
    return (folder / core.DEEPSPEED_LATEST).exists() or any(folder.glob("global_step*"))


def _has_optimizer(folder: Path) -> bool:
    kinds = ("optimizer*", "scheduler.pt", "rng_state*.pth", core.DEEPSPEED_LATEST, "global_step*")
    return any(any(folder.glob(kind)) for kind in kinds)


def _checkpoints(output_dir: Path) -> list[Path]:
    """Newest first."""
    found = output_dir.iterdir() if output_dir.is_dir() else []
    folders = [path for path in found if core.step(path.name) is not None and path.is_dir()]
    return sorted(folders, key=step_of, reverse=True)


def step_of(folder: Path) -> int:
    """The step that a checkpoint's name says; 0 for other names."""
    return core.step(folder.name) or 0


def _set_aside_before(output_dir: Path) -> list[Path]:
    """Folders that earlier versions of this program set aside under names that are rotated."""
    found = output_dir.iterdir() if output_dir.is_dir() else []
    return sorted(path for path in found if _BEFORE.fullmatch(path.name) and path.is_dir())


def _set_aside(folder: Path, word: str, why: str) -> None:
    target = _rename(folder, word, folder.name)
    sys.stderr.write(f"mat-trainer: {folder.name} {why}: renamed to {target.name}\n")


def _rename(folder: Path, word: str, name: str) -> Path:
    target = folder.with_name(f"{word}-{name}")
    count = 1
    while target.exists():
        count += 1
        target = folder.with_name(f"{word}-{name}-{count}")
    folder.rename(target)
    return target
