"""Which generation a run trains on: settled once, for all nodes and all restarts of it."""

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
from mat_trainer.dataset.stage import StagedDataset
from mat_trainer.launch import checkpoints

PATIENCE_SECONDS = 60.0
"""Network file systems remember for a while that a file was absent."""
_PAUSE_SECONDS = 2.0


class Settled(msgspec.Struct, frozen=True):
    """What `--dataset` means for this run.

    Attributes:
        found: The dataset or generation.
        is_open: Whether no generation was named: of several nodes, the first decides.
        notices: Sentences for the user.
    """

    found: Resolved
    is_open: bool
    notices: tuple[str, ...] = ()


def settle(typed: str, output_dir: str | None, resume: str) -> Settled:
    """Finds out which generation an address means for a run in an output folder.

    Where a run was begun there and no generation is named, it is the one that it was begun with.

    Args:
        typed: The option's value.
        output_dir: Need not be there.
        resume: `mat_trainer.launch.checkpoints`' word; ``never`` begins anew.

    Raises:
        ConfigError: There is no such dataset or generation, or the run was begun with another.
    """
    found = resolve(typed)
    is_open = found.is_newest and found.whole is not None
    if output_dir is None or resume == checkpoints.NEVER:
        return Settled(found, is_open)
    begun, has_checkpoints = read(Path(output_dir)), checkpoints.exist(Path(output_dir))
    notices = []
    if begun and begun.generation and is_open and found.whole:
        newest = found.whole.number
        if begun.lineage == found.whole.lineage and begun.generation != newest:
            found = resolve(addresses.at(found.uri, begun.generation))
            notices.append(
                f"{output_dir} was begun with generation {begun.generation}, so it stays on that; "
                f"the newest is {newest}: --resume never, or another --output-dir, begins with it"
            )
    fault = pins.differs(begun, pin(found)) if begun and has_checkpoints else None
    if fault:
        raise ConfigError([f"--output-dir {output_dir}: {fault}"])
    if has_checkpoints and begun is None and found.whole:
        notices.append(
            f"the checkpoints in {output_dir} do not say which generation they were trained on; "
            f"they are gone on from with {found.name}"
        )
    return Settled(found, is_open, tuple(notices))


def adopt(settled: Settled, generation: int | None) -> Settled:
    """On another node: what node 0 has settled on.

    Raises:
        ConfigError: This node does not see that generation.
    """
    whole = settled.found.whole
    if generation is None or whole is None or whole.number == generation:
        return settled
    address = addresses.at(settled.found.uri, generation)
    end = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return msgspec.structs.replace(settled, found=resolve(address))
        except ConfigError:
            if time.monotonic() >= end:
                raise
        time.sleep(_PAUSE_SECONDS)


def pin(found: Resolved) -> Pin:
    """What is kept of a dataset."""
    whole = found.whole
    lineage = whole.lineage if whole else ""
    return Pin(found.name, found.manifest.digest, whole.number if whole else None, lineage)


def read(output_dir: Path) -> Pin | None:
    """What a run in this folder was begun with, if it is known."""
    try:
        return pins.parse((output_dir / pins.NAME).read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None


def keep(output_dir: Path, found: Resolved) -> None:
    """Writes down what a run is begun with. Of several nodes, only the first does this."""
    write_whole(output_dir / pins.NAME, pins.write(pin(found)))


def words(dataset: StagedDataset, settled: Settled) -> str:
    """What the log says of the generation."""
    why = "the newest when this job began" if settled.found.is_newest else "as asked for"
    return f"{dataset.generation} of the dataset, {why}: all nodes and restarts stay on it"
