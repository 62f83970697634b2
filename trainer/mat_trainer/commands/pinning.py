"""Which generation a run trains on: chosen once, for all its nodes and restarts."""

from __future__ import annotations

import time
from pathlib import Path

import msgspec

from mat_trainer.core import address as addresses
from mat_trainer.core import pin as pins
from mat_trainer.core.errors import ConfigError
from mat_trainer.core.pin import Pin
from mat_trainer.dataset.ledger import write_whole
from mat_trainer.dataset.resolve import Resolved, resolve
from mat_trainer.launch import checkpoints

PATIENCE_SECONDS = 60.0
"""Network file systems remember for a while that a file was absent."""
_PAUSE_SECONDS = 2.0


class Settled(msgspec.Struct, frozen=True):
    """What `--dataset` means for this run.

    Attributes:
        found: The dataset or generation.
        is_open: Whether it is a generation that the user did not name: node 0 decides for all.
        notices: Sentences for the user.
    """

    found: Resolved
    is_open: bool
    notices: tuple[str, ...] = ()


def settle(typed: str, output_dir: str | None, resume: str) -> Settled:
    """Finds out which generation an address means for a run in an output folder.

    If the address names none and a run was begun there, it is the generation of that run.

    Args:
        typed: The option's value.
        output_dir: The run's folder; it need not exist.
        resume: As in `mat_trainer.launch.checkpoints`; ``never`` begins anew.

    Raises:
        ConfigError: There is no such dataset or generation, or the run began with another.
    """
    found = resolve(typed)
    is_open = found.is_newest and found.snapshot is not None
    if output_dir is None or resume == checkpoints.NEVER:
        return Settled(found, is_open)
    begun, has_checkpoints = read(Path(output_dir)), _has_trained(Path(output_dir))
    notices = []
    if begun and begun.generation and is_open:
        newest = found.manifest.generation
        if begun.lineage == found.lineage and begun.generation != newest:
            found = resolve(addresses.at(found.uri, begun.generation))
            notices.append(
                f"{output_dir} was begun with generation {begun.generation}, so the run stays on "
                f"it; the newest is {newest}: use --resume never or another --output-dir to train "
                "on that"
            )
    fault = pins.differs(begun, found.pin) if begun and has_checkpoints else None
    if fault:
        raise ConfigError(f"--output-dir {output_dir}: {fault}")
    if has_checkpoints and begun is None and found.snapshot:
        notices.append(
            f"the checkpoints in {output_dir} do not say which generation they were trained on; "
            f"the run resumes from them with {found.name}"
        )
    return Settled(found, is_open, tuple(notices))


def _has_trained(output_dir: Path) -> bool:
    return checkpoints.exist(output_dir) or checkpoints.model_in(output_dir) is not None


def adopt(settled: Settled, generation: int | None) -> Settled:
    """On the other nodes: takes the generation that node 0 has chosen.

    Raises:
        ConfigError: This node cannot read that generation.
    """
    found = settled.found
    if generation is None or found.snapshot is None or found.snapshot.number == generation:
        return settled
    address = addresses.at(found.uri, generation)
    end = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return msgspec.structs.replace(settled, found=resolve(address))
        except ConfigError:
            if time.monotonic() >= end:
                raise
        time.sleep(_PAUSE_SECONDS)


def read(output_dir: Path) -> Pin | None:
    """The dataset that a run in this folder began with, if it is known."""
    try:
        return pins.parse((output_dir / pins.NAME).read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None


def keep(output_dir: Path, found: Resolved) -> None:
    """Writes down which dataset a run begins with. Only node 0 does this."""
    write_whole(output_dir / pins.NAME, pins.write(found.pin))
