"""Whether a run may go on in its output folder, or has finished there already."""

from __future__ import annotations

from pathlib import Path

import msgspec

from mat_trainer.core import known_keys, run_record
from mat_trainer.core.recipe import Recipe
from mat_trainer.core.run_record import LATER, Record
from mat_trainer.dataset import model_files
from mat_trainer.dataset.ledger import write_whole
from mat_trainer.dataset.stage import StagedDataset
from mat_trainer.launch import checkpoints
from mat_trainer.status import folder as folders

_LEVEL = ("constant", "constant_with_warmup")


class Standing(msgspec.Struct, frozen=True):
    """What the output folder means for this run.

    Attributes:
        is_finished: Whether the same run has finished there, so that nothing is left to do.
        faults: Why this run must not resume there, one sentence each.
        notices: Sentences for the user.
    """

    is_finished: bool = False
    faults: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()


def record_of(recipe: Recipe, dataset: StagedDataset) -> Record:
    """What a run is, as its output folder remembers it."""
    return Record(recipe.settings, dataset.name, model_files.content(recipe.settings))


def look(output_dir: Path, now: Record, resume: str) -> Standing:
    """Compares this run with the one that was begun in its folder. Reads small files only.

    Args:
        output_dir: The run's folder; it need not exist.
        now: This run.
        resume: As in `mat_trainer.launch.checkpoints`; ``never`` begins anew.
    """
    begun = read(output_dir)
    trained = checkpoints.exist(output_dir) or checkpoints.model_in(output_dir)
    if resume == checkpoints.NEVER or not trained:
        return Standing()
    was_finished = begun.finished if begun else folders.read(output_dir).is_finished
    if begun is None:
        notice = (
            f"{output_dir} does not say with which settings its run was begun, so they are not "
            "compared"
        )
        return Standing(is_finished=was_finished, notices=(notice,))
    changed = run_record.changes(begun, now, known_keys.shipped())
    other = [change for change in changed if change.key not in LATER]
    if other:
        return Standing(faults=(run_record.fault(str(output_dir), other),))
    later = [change.words() for change in changed]
    if not later:
        return Standing(is_finished=was_finished)
    notice = f"{'; '.join(later)}: the run in {output_dir} ends later or earlier"
    if now.settings.get("lr_scheduler_type", "linear") not in _LEVEL:
        notice += (
            ", and its learning rate jumps to that of the new schedule at the step where it resumes"
        )
    return Standing(notices=(notice,))


def read(output_dir: Path) -> Record | None:
    """The run that was begun in this folder, if it is known."""
    try:
        return run_record.parse((output_dir / run_record.NAME).read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None


def keep(output_dir: Path, record: Record) -> None:
    """Writes down what the run is. Only node 0 does this."""
    write_whole(output_dir / run_record.NAME, run_record.write(record))
