"""A recipe bound to a dataset and an output folder: the whole YAML that LLaMA-Factory gets."""

from __future__ import annotations

import math
from typing import Any

import msgspec

from mat_trainer.core import document
from mat_trainer.core.errors import ConfigError
from mat_trainer.core.recipe import Recipe

# The keys that this module writes, last and in this order.
_BOUND = ("dataset", "dataset_dir", "media_dir", "output_dir", "overwrite_output_dir")


class DatasetFacts(msgspec.Struct, frozen=True):
    """Where a dataset is or will be on this machine.

    Attributes:
        rows: The registry entries to train on, such as ``mat_parquet``, and how many rows each has.
        dataset_dir: The folder of its dataset_info.json.
        media_dir: The folder that image paths are relative to.
    """

    rows: dict[str, int]
    dataset_dir: str
    media_dir: str

    @property
    def name(self) -> str:
        """The entries, as LLaMA-Factory's setting `dataset` has them."""
        return ",".join(self.rows)


class Plan(msgspec.Struct, frozen=True):
    """Everything that LLaMA-Factory needs to train.

    Attributes:
        settings: Every key and value, in the order of the file.
        rows: How many rows the dataset's entries have.
        used: Rows to train on: at most ``max_samples`` of each entry, less `held_out`.
        held_out: Rows that ``val_size`` reserves for evaluation.
        notices: Sentences for the user, the recipe's included.
    """

    settings: dict[str, Any]
    rows: int
    used: int
    held_out: int
    notices: tuple[str, ...]

    @property
    def output_dir(self) -> str:
        """The folder for checkpoints and logs."""
        return str(self.settings["output_dir"])

    @property
    def log_dir(self) -> str:
        """The folder for the ranks' logs."""
        return f"{self.output_dir}/logs"

    @property
    def deepspeed(self) -> bool:
        """Whether DeepSpeed is used, which needs torchrun even for one process."""
        return bool(self.settings.get("deepspeed"))

    def yaml(self) -> str:
        """The file for LLaMA-Factory."""
        return document.write(self.settings)


def bind(
    recipe: Recipe,
    dataset: DatasetFacts,
    output_dir: str | None = None,
    *,
    resume_from: str | None = None,
    start_over: bool = False,
    model: str | None = None,
) -> Plan:
    """Completes a recipe.

    Args:
        recipe: The settings.
        dataset: What to train on.
        output_dir: Where to write; the recipe's own folder if None.
        resume_from: The checkpoint's folder to resume from. Without one, LLaMA-Factory looks for
            the last one in the output folder.
        start_over: Train from the first step, whatever checkpoints exist.
        model: The folder of the tiny model, for a recipe that names none.

    Raises:
        ConfigError: Something is missing or contradicts itself.
    """
    settings = dict(recipe.settings)
    notices = list(recipe.notices)
    faults = []
    if "model_name_or_path" not in settings and model is not None:
        settings = {"model_name_or_path": model, **settings}
    if not settings.get("model_name_or_path"):
        faults.append(
            "model_name_or_path is missing: set it to a model's folder or its id on the hub"
        )
    output_dir = output_dir or settings.get("output_dir")
    if not output_dir:
        faults.append("output_dir is missing: pass --output-dir DIR")
    if settings.setdefault("do_train", True) is not True:
        faults.append("do_train: false would train nothing; remove it")
    if resume_from is not None and start_over:
        faults.append(
            f"{resume_from} cannot be resumed from when starting over; choose one of the two"
        )
    if faults:
        raise ConfigError(*faults)
    for key in _BOUND:
        settings.pop(key, None)
    settings |= {
        "dataset": dataset.name,
        "dataset_dir": dataset.dataset_dir,
        "media_dir": dataset.media_dir,
        "output_dir": output_dir,
        # True would make LLaMA-Factory start from the first step after an interruption.
        "overwrite_output_dir": start_over,
    }
    if start_over:
        settings.pop("resume_from_checkpoint", None)
    if resume_from is not None:
        settings["resume_from_checkpoint"] = resume_from
    taken, held_out = _rows(settings, dataset.rows)
    rows = sum(dataset.rows.values())
    return Plan(settings, rows, taken - held_out, held_out, tuple(notices))


def _rows(settings: dict[str, Any], rows: dict[str, int]) -> tuple[int, int]:
    """Rows that are read, and how many of them are reserved: first max_samples, then val_size.

    Source: llamafactory.data.loader._load_single_dataset, data_utils.split_dataset.
    """
    most = settings.get("max_samples")
    taken = sum(count if most is None else min(count, most) for count in rows.values())
    val_size = settings.get("val_size") or 0
    # datasets.Dataset.train_test_split rounds the test set's share up.
    held_out = int(val_size) if val_size >= 1 else math.ceil(val_size * taken)
    return taken, min(held_out, taken)
