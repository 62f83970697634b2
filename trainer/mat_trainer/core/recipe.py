"""A recipe: LLaMA-Factory's settings without the dataset and the output folder."""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import msgspec

from mat_trainer.core import document, known_keys, migrate, overrides, purpose, reference
from mat_trainer.core.errors import ConfigError
from mat_trainer.core.known_keys import KnownKeys
from mat_trainer.core.subset import SFT

ABOUT = "mat_trainer"
"""The only key of a recipe that is not LLaMA-Factory's: a description of the recipe."""

_PATHS = frozenset(
    """
    adapter_folder adapter_name_or_path cache_dir deepspeed fsdp_config logging_dir
    model_name_or_path new_special_tokens_config offload_folder output_dir profiler_output_dir
    ref_model ref_model_adapters resume_from_checkpoint reward_model reward_model_adapters
    swanlab_logdir tokenized_path
    """.split()
)
_PRESETS = resources.files("mat_trainer").joinpath("presets")


class Data(msgspec.Struct, frozen=True):
    """A recipe's settings of what to read.

    Attributes:
        stage: LLaMA-Factory's `stage`.
        dataset: The entries to train on, with commas between them; None for all that fit.
        evaluation: The entries to evaluate on, likewise; None for none.
        is_of_file: Whether a file names `dataset`, which may mean another dataset.
        in_order: Whether the order of the names matters, as for `interleave_probs`.
    """

    stage: str = SFT
    dataset: str | None = None
    evaluation: str | None = None
    is_of_file: bool = False
    in_order: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """The names in `dataset`."""
        return _names(self.dataset)

    @property
    def evaluation_names(self) -> tuple[str, ...]:
        """The names in `evaluation`."""
        return _names(self.evaluation)


def _names(words: str | None) -> tuple[str, ...]:
    return tuple(filter(None, (word.strip() for word in (words or "").split(","))))


class Recipe(msgspec.Struct, frozen=True):
    """Settings for LLaMA-Factory 0.9.5.

    Attributes:
        name: The preset's name, or the file's stem.
        settings: LLaMA-Factory's keys and values, in the order of the file. The only key
            among them that the launcher sets is ``output_dir``, as a default.
        about: One sentence; empty for a user's file.
        memory: The GPU memory that it needs, as a text; empty if that is not known.
        tiny_model: Whether it trains a tiny random model, which the launcher makes.
        notices: Changes that the user should know, one sentence each.
        names_dataset: Whether the file names entries, and `--set` does not.
    """

    name: str
    settings: dict[str, Any]
    about: str = ""
    memory: str = ""
    tiny_model: bool = False
    notices: tuple[str, ...] = ()
    names_dataset: bool = False

    @property
    def data(self) -> Data:
        """What to read."""
        return Data(
            stage=self.settings.get("stage", SFT),
            dataset=self.settings.get("dataset"),
            evaluation=self.settings.get("eval_dataset"),
            is_of_file=self.names_dataset,
            in_order=bool(self.settings.get("interleave_probs")),
        )

    @property
    def trusts_remote_code(self) -> bool:
        """Whether Python code from the model's folder is run."""
        return self.settings.get("trust_remote_code") is True

    @property
    def on_cpu(self) -> bool:
        """Whether it trains on the CPU even if there are GPUs."""
        return self.settings.get("use_cpu") is True


class _About(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    about: str = ""
    memory: str = ""
    tiny_model: bool = False


def preset_names() -> tuple[str, ...]:
    """The names of the recipes that come with this package, sorted."""
    files = (Path(file.name) for file in _PRESETS.iterdir())
    return tuple(sorted(file.stem for file in files if file.suffix == ".yaml"))


def load(name_or_path: str, changes: Sequence[str] = (), known: KnownKeys | None = None) -> Recipe:
    """Loads a preset or a user's file, changes it and checks every key.

    Args:
        name_or_path: A preset's name, or the path of a YAML file: a text that ends in .yaml or
            .yml, or contains a folder, is a path.
        changes: ``KEY=VALUE`` each, as for ``--set``; null removes a key.
        known: The keys to check against; default: those that come with this package.

    Raises:
        ConfigError: With every fault.
    """
    text, is_preset = _text(name_or_path)
    written = document.read(text, name_or_path)
    faults: list[str] = []
    notices: list[str] = []
    said = _said(written.pop(ABOUT, {}), faults)
    settings = migrate.migrate(written, notices, faults)
    _leave_to_launcher(settings, notices, is_preset=is_preset)
    changed = migrate.migrate(overrides.parse(changes, faults), notices, faults)
    known = known or known_keys.shipped()
    faults += known_keys.faults(_merged(settings, changed), known)
    removed = [key for key, value in changed.items() if value is None]
    faults += known_keys.unknown([key for key in removed if key not in settings], known)
    settings = _expanded(_merged(settings, changed))
    if other := purpose.fault(settings, name_or_path):
        faults.append(other)
    if compared := reference.notice(settings):
        notices.append(compared)
    if faults:
        raise ConfigError(*faults)
    return Recipe(
        name=name_or_path if is_preset else Path(name_or_path).stem,
        settings=settings,
        about=said.about,
        memory=said.memory,
        tiny_model=said.tiny_model and "model_name_or_path" not in settings,
        notices=tuple(notices),
        names_dataset="dataset" not in changed,
    )


def _merged(settings: dict[str, Any], changed: dict[str, Any]) -> dict[str, Any]:
    merged = settings | changed
    return {k: v for k, v in merged.items() if not (v is None and k in changed)}


def _expanded(settings: dict[str, Any]) -> dict[str, Any]:
    """The settings with ~ expanded in paths, which LLaMA-Factory does not do."""
    return {
        key: os.path.expanduser(value) if key in _PATHS and isinstance(value, str) else value
        for key, value in settings.items()
    }


def _text(name_or_path: str) -> tuple[str, bool]:
    if os.sep not in name_or_path and not name_or_path.endswith((".yaml", ".yml")):
        names = preset_names()
        if name_or_path in names:
            return _PRESETS.joinpath(f"{name_or_path}.yaml").read_text(encoding="utf-8"), True
        near = known_keys.nearest(name_or_path, names)
        meant = f"; the nearest is {near}" if near else ""
        raise ConfigError(
            f"{name_or_path}: no such preset{meant}; use one of {', '.join(names)}, or the path of "
            "a YAML file",
        )
    try:
        return Path(name_or_path).read_text(encoding="utf-8"), False
    except FileNotFoundError:
        raise ConfigError(f"{name_or_path}: no such file; check the path") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{name_or_path}: cannot be read: {error}; check the path and its permissions"
        ) from None


def _said(value: Any, faults: list[str]) -> _About:
    try:
        return msgspec.convert(value, _About)
    except msgspec.ValidationError as error:
        faults.append(f"{ABOUT}: {error}; it may have the keys about, memory and tiny_model")
        return _About()


def _leave_to_launcher(settings: dict[str, Any], notices: list[str], *, is_preset: bool) -> None:
    """Removes the keys that the command line sets."""
    if "output_dir" in settings and not is_preset:
        notices.append(f"output_dir: {settings['output_dir']} is used only without --output-dir")
    for key in ("dataset_dir", "media_dir"):
        if settings.pop(key, None) is not None:
            notices.append(f"{key} is left out: --dataset sets it")
    if settings.pop("overwrite_output_dir", None):
        notices.append(
            "overwrite_output_dir: true is left out: an interrupted run would start anew; "
            "to start anew, use --resume never"
        )
    if settings.get("resume_from_checkpoint", 0) is None:
        del settings["resume_from_checkpoint"]
