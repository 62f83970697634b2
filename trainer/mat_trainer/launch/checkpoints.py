"""Which checkpoint to go on from, and an output folder in which LLaMA-Factory finds no other."""

from __future__ import annotations

import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import msgspec

from mat_trainer.core import checkpoint as core
from mat_trainer.core.errors import ConfigError
from mat_trainer.launch.trainer_log import keep_until

AUTO = "auto"
NEVER = "never"


def prepare(output_dir: Path, resume: str) -> Path | None:
    """Makes an output folder ready for a launch. Of several nodes, only the first does this.

    LLaMA-Factory goes on from the checkpoint with the highest number that it finds, whole or not.
    So half-written ones are renamed, ``checkpoint-500.incomplete``, and so are whole ones where
    `resume` is ``never``, ``checkpoint-500.earlier``; nothing is removed. What
    ``trainer_log.jsonl`` tells of steps that will be made again is moved aside too.

    Args:
        output_dir: Need not be there.
        resume: ``auto`` goes on from the last whole checkpoint if there is one; ``never`` does not.

    Returns:
        The checkpoint to go on from, an absolute path; None to begin anew. `mat_trainer.core.plan`
        binds it as ``resume_from``, and ``never`` as ``start_over``.

    Raises:
        ConfigError: The folder has a model but no checkpoint to go on from, or one that cannot be
            gone on from.
    """
    if resume == NEVER:
        for folder in _checkpoints(output_dir):
            _set_aside(folder, "earlier", "not gone on from, as --resume never says")
        keep_until(output_dir, 0)
        return None
    last = last_complete(output_dir)
    if last is None and (model := _model_in(output_dir)):
        raise ConfigError(
            [
                f"--output-dir {output_dir} holds {model} but no checkpoint to go on from: "
                "name another folder, or say --resume never to train anew and replace it"
            ]
        )
    keep_until(output_dir, _step(last) if last else 0)
    return last


def last_complete(output_dir: Path) -> Path | None:
    """The newest checkpoint that is whole; newer ones that are not are renamed ``.incomplete``.

    Raises:
        ConfigError: The newest was saved without what is needed to go on (``save_only_model``).
    """
    for folder in _checkpoints(output_dir):
        why = fault(folder)
        if why is None:
            if not _has_optimizer(folder):
                raise ConfigError(
                    [
                        f"{folder} holds weights alone, as save_only_model saves them: training "
                        "cannot go on from it; name another --output-dir, or say --resume never"
                    ]
                )
            return folder.resolve()
        _set_aside(folder, "incomplete", why)
    return None


def exist(output_dir: Path) -> bool:
    """Whether there is any checkpoint, whole or not."""
    return bool(_checkpoints(output_dir))


def fault(folder: Path) -> str | None:
    """Why a checkpoint is not whole, in words; None if it is."""
    try:
        return next(_faults(folder), None)
    except OSError as error:
        return f"cannot be read: {error}"


def _faults(folder: Path) -> Iterator[str]:
    yield from _state_faults(folder)
    yield from _weight_faults(folder)
    if _has_optimizer(folder):
        yield from _deepspeed_faults(folder)
        if not any(folder.glob("rng_state*.pth")):
            yield "has no rng_state: no rank wrote its random state"
    names = [file.name for file in folder.iterdir()]
    for rank in core.missing_ranks(names, r"rng_state_(\d+)\.pth"):
        yield f"has no rng_state_{rank}.pth"
    for file in sorted([*folder.rglob("*.pt"), *folder.rglob("*.pth"), *folder.glob("*.bin")]):
        if not zipfile.is_zipfile(file):  # torch.save writes one, its directory at the end
            yield f"has a {file.relative_to(folder)} that breaks off"


def _state_faults(folder: Path) -> Iterator[str]:
    file = folder / core.STATE
    if not file.is_file():
        yield f"has no {core.STATE}, which is written last"
        return
    try:
        state = msgspec.json.decode(file.read_bytes(), type=core.State)
    except msgspec.DecodeError as error:
        yield f"has a {core.STATE} that cannot be read ({error})"
        return
    if state.global_step != _step(folder):
        yield f"has a {core.STATE} of step {state.global_step}"


def _weight_faults(folder: Path) -> Iterator[str]:
    found = False
    for stem in core.WEIGHTS:
        for end in ("safetensors", "bin"):
            index = folder / f"{stem}.{end}.index.json"
            names = [f"{stem}.{end}"] if (folder / f"{stem}.{end}").exists() else []
            if index.is_file():
                try:
                    read = msgspec.json.decode(index.read_bytes(), type=core.Index)
                except msgspec.DecodeError as error:
                    yield f"has a {index.name} that cannot be read ({error})"
                    return
                names += sorted(set(read.weight_map.values()))
            found = found or bool(names)
            for name in names:
                yield from _file_faults(folder / name)
    sharded = _is_deepspeed(folder) or any(folder.glob("pytorch_model_fsdp*"))
    if not found and not sharded:
        yield "has no weights"


def _file_faults(file: Path) -> Iterator[str]:
    if not file.is_file():
        yield f"has no {file.name}, which its index names"
        return
    if file.suffix != ".safetensors":
        return  # torch's own format, looked at with the others
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
            yield f"lacks rank {rank}'s {kind} in {part.name}"


def _is_deepspeed(folder: Path) -> bool:
    return (folder / core.DEEPSPEED_LATEST).exists() or any(folder.glob("global_step*"))


def _has_optimizer(folder: Path) -> bool:
    kinds = ("optimizer*", "scheduler.pt", "rng_state*.pth", core.DEEPSPEED_LATEST, "global_step*")
    return any(any(folder.glob(kind)) for kind in kinds)


def _checkpoints(output_dir: Path) -> list[Path]:
    """Newest first."""
    found = output_dir.iterdir() if output_dir.is_dir() else []
    folders = [path for path in found if core.step(path.name) is not None and path.is_dir()]
    return sorted(folders, key=_step, reverse=True)


def _step(folder: Path) -> int:
    number = core.step(folder.name)
    assert number is not None
    return number


def _model_in(output_dir: Path) -> str | None:
    for stem in core.WEIGHTS:
        for end in ("safetensors", "safetensors.index.json", "bin", "bin.index.json"):
            if (output_dir / f"{stem}.{end}").is_file():
                return f"{stem}.{end}"
    return None


def _set_aside(folder: Path, word: str, why: str) -> None:
    target = folder.with_name(f"{folder.name}.{word}")
    count = 1
    while target.exists():
        count += 1
        target = folder.with_name(f"{folder.name}.{word}-{count}")
    folder.rename(target)
    sys.stderr.write(f"mat-trainer: {folder.name} {why}: renamed to {target.name}\n")
