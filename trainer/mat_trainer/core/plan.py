"""A recipe bound to a dataset and an output folder: the whole YAML that LLaMA-Factory gets."""

from __future__ import annotations

import math
from typing import Any

import msgspec

from mat_trainer.core import document
from mat_trainer.core.errors import ConfigError
from mat_trainer.core.recipe import Recipe

# What this module writes, after all else and in this order.
_BOUND = ("dataset", "dataset_dir", "media_dir", "output_dir", "overwrite_output_dir")


class DatasetFacts(msgspec.Struct, frozen=True):
    """A dataset as it lies on this machine, or will.

    Attributes:
        name: The registry entry that is trained on, such as ``mat_parquet``.
        dataset_dir: The folder of its dataset_info.json.
        media_dir: The folder that paths of images start from.
        rows: Of the entry.
    """

    name: str
    dataset_dir: str
    media_dir: str
    rows: int


class Plan(msgspec.Struct, frozen=True):
    """What is trained, complete.

    Attributes:
        settings: Every key and value, in the order in which they are written.
        rows: Of the dataset's entry.
        used: Rows that are trained on: at most ``max_samples``, less `held_out`.
        held_out: Rows that ``val_size`` sets aside for evaluation.
        notices: Sentences for the user, the recipe's included.
    """

    settings: dict[str, Any]
    rows: int
    used: int
    held_out: int
    notices: tuple[str, ...]

    @property
    def output_dir(self) -> str:
        """Where checkpoints and logs go."""
        return str(self.settings["output_dir"])

    @property
    def yaml_path(self) -> str:
        """Where `yaml` is written."""
        return f"{self.output_dir}/train.yaml"

    @property
    def log_dir(self) -> str:
        """Where each rank's log is written."""
        return f"{self.output_dir}/logs"

    @property
    def deepspeed(self) -> bool:
        """Whether DeepSpeed trains, which needs torchrun even for one process."""
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
        resume_from: A checkpoint's folder to go on from. Without one LLaMA-Factory looks into the
            output folder for the last.
        start_over: Train from the first step whatever checkpoints there are.
        model: The folder of the tiny model, for a recipe that has none of its own.

    Raises:
        ConfigError: Something is missing or contradicts itself.
    """
    settings = dict(recipe.settings)
    notices = list(recipe.notices)
    faults = []
    if "model_name_or_path" not in settings and model is not None:
        settings = {"model_name_or_path": model, **settings}
    if not settings.get("model_name_or_path"):
        faults.append("model_name_or_path is missing: name a model's folder or id on the hub")
    output_dir = output_dir or settings.get("output_dir")
    if not output_dir:
        faults.append("output_dir is missing: say --output-dir DIR")
    if settings.setdefault("do_train", True) is not True:
        faults.append("do_train: false would train nothing; leave it out")
    if resume_from is not None and start_over:
        faults.append(f"{resume_from} cannot be gone on from when starting over; say one of both")
    if faults:
        raise ConfigError(faults)
    for key in _BOUND:
        settings.pop(key, None)
    settings |= {
        "dataset": dataset.name,
        "dataset_dir": dataset.dataset_dir,
        "media_dir": dataset.media_dir,
        "output_dir": output_dir,
        # True makes LLaMA-Factory start from the first step after an interruption.
        "overwrite_output_dir": start_over,
    }
    if start_over:
        settings.pop("resume_from_checkpoint", None)
    if resume_from is not None:
        settings["resume_from_checkpoint"] = resume_from
    taken, held_out = _rows(settings, dataset.rows)
    return Plan(settings, dataset.rows, taken - held_out, held_out, tuple(notices))


def _rows(settings: dict[str, Any], rows: int) -> tuple[int, int]:
    """Rows taken, and of those the rows set aside: first max_samples, then val_size.

    Source: llamafactory.data.loader._load_single_dataset, data_utils.split_dataset.
    """
    most = settings.get("max_samples")
    taken = rows if most is None else min(rows, most)
    val_size = settings.get("val_size") or 0
    # datasets.Dataset.train_test_split rounds a share of the test set up.
    held_out = int(val_size) if val_size >= 1 else math.ceil(val_size * taken)
    return taken, min(held_out, taken)
