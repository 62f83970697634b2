"""Chooses the entries of a dataset that a recipe trains on and evaluates on. Pure."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from mat_trainer.core import subset
from mat_trainer.core.errors import ConfigError
from mat_trainer.core.manifest import Manifest
from mat_trainer.core.recipe import Data
from mat_trainer.core.subset import JSONL, PARQUET, SFT, TRAIN
from mat_trainer.dataset.entry import Entry, entries


class Choice(msgspec.Struct, frozen=True):
    """The entries of a run.

    Attributes:
        training: Those to train on.
        evaluation: Those to evaluate on.
        notices: Sentences for the user.
    """

    training: tuple[Entry, ...]
    evaluation: tuple[Entry, ...] = ()
    notices: tuple[str, ...] = ()

    @property
    def entries(self) -> tuple[Entry, ...]:
        """All of them, each once."""
        return tuple({entry.name: entry for entry in (*self.training, *self.evaluation)}.values())

    def replaced(self, entries: Iterable[Entry]) -> Choice:
        """The same choice of other entries of the same names."""
        by_name = {entry.name: entry for entry in entries}
        return msgspec.structs.replace(
            self,
            training=tuple(by_name[entry.name] for entry in self.training),
            evaluation=tuple(by_name[entry.name] for entry in self.evaluation),
        )


def choose(manifest: Manifest, data: Data, *, remote: bool) -> Choice:
    """The entries of a dataset for a recipe.

    Unless the recipe names some, these are all that fit its stage, in one format: Parquet for a
    remote dataset, since it needs no folder of images, and JSONL for a local one. Entries without
    images come last.

    Args:
        manifest: The dataset's manifest.
        data: The recipe's settings of what to read.
        remote: Whether the dataset has to be staged.

    Raises:
        ConfigError: There is no such entry, it does not fit the stage, or nothing does.
    """
    known = entries(manifest)
    faults: list[str] = []
    notices: list[str] = []
    asked = data.names
    if asked and data.is_of_file and not any(name in known for name in asked):
        notices.append(
            f"dataset: {data.dataset} is left out: the data comes from --dataset, which has no "
            "such entry"
        )
        asked = ()
    if asked:
        training = _named("dataset", asked, known, data.stage, faults)
    else:
        training = _fitting(known.values(), data.stage, faults, notices, remote=remote)
    evaluation = _named("eval_dataset", data.evaluation_names, known, data.stage, faults)
    if faults:
        raise ConfigError(*faults)
    if not data.in_order:
        training, evaluation = _loadable(training), _loadable(evaluation)
    return Choice(training, evaluation, tuple(notices))


def _loadable(chosen: tuple[Entry, ...]) -> tuple[Entry, ...]:
    """Those without images at the end; else 1,000 rows without any would make the rest fail.

    The reason is that of `mat_trainer.core.order`: LLaMA-Factory's tokenizer takes the type of the
    column from the first 1,000 rows.
    """
    return tuple(sorted(chosen, key=lambda entry: not entry.has_images))


def _named(
    setting: str, names: tuple[str, ...], known: dict[str, Entry], stage: str, faults: list[str]
) -> tuple[Entry, ...]:
    """The entries that a setting names."""
    there = ", ".join(known) or "none"
    faults += [
        f"{setting} {name}: this dataset has no such entry; use one of {there}"
        for name in names
        if name not in known
    ]
    found = tuple(known[name] for name in dict.fromkeys(names) if name in known)
    faults += [_unfit(setting, entry, known, stage) for entry in found if not entry.fits(stage)]
    if len({entry.format for entry in found}) > 1:
        faults.append(
            f"{setting} {','.join(names)}: LLaMA-Factory cannot join JSONL and Parquet; name "
            "entries of one format"
        )
    return found


def _unfit(setting: str, entry: Entry, known: dict[str, Entry], stage: str) -> str:
    fit = [
        one.name
        for one in known.values()
        if one.fits(stage) and (one.format, one.split) == (entry.format, entry.split)
    ]
    others = f", or choose {','.join(fit)}" if fit else ""
    return (
        f"{setting} {entry.name}: it has {subset.has(entry.subset)}, which stage {stage} does not "
        f"train on; use a recipe of stage {' or '.join(_usual(entry))}{others}"
    )


def _fitting(
    known: Iterable[Entry], stage: str, faults: list[str], notices: list[str], *, remote: bool
) -> tuple[Entry, ...]:
    """All entries to train on that fit a stage, in one format."""
    training = [entry for entry in known if entry.split == TRAIN]
    order = (PARQUET, JSONL) if remote else (JSONL, PARQUET)
    for format in order:
        found = tuple(one for one in training if one.format == format and one.fits(stage))
        if found:
            notices += [
                f"{one.name} is not trained on: its {one.rows:,} rows have "
                f"{subset.has(one.subset)}, for stage {' or '.join(_usual(one))}"
                for one in training
                if one.format == format and not one.fits(stage)
            ]
            return found
    if not training:
        faults.append("the dataset has no rows to train on; convert again with more records")
    else:
        there = ", ".join(f"{one.name} for {' or '.join(_usual(one))}" for one in training)
        faults.append(
            f"stage {stage}: the dataset has no entry for it, but {there}; use a recipe of another "
            "stage, or convert records of another kind"
        )
    return ()


def _usual(entry: Entry) -> tuple[str, ...]:
    """The stages of an entry that people use."""
    stages = subset.stages(entry.subset)
    return stages[:1] if stages[0] == SFT else stages
