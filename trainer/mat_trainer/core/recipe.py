"""A recipe: LLaMA-Factory's settings, before they are bound to a dataset and an output folder."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from mat_trainer.core import document, known_keys, migrate, overrides, presets
from mat_trainer.core.errors import ConfigError
from mat_trainer.core.known_keys import KnownKeys

ABOUT = "mat_trainer"
"""The key of a recipe that is not LLaMA-Factory's: what this program says of the recipe."""

ENTRIES = ("mat", "mat_parquet", "mat_val", "mat_parquet_val")
"""The registry entries that beam-mat writes into dataset_info.json."""


class Recipe(msgspec.Struct, frozen=True):
    """Settings as LLaMA-Factory 0.9.5 takes them.

    Attributes:
        name: The preset's name, or the file's stem.
        settings: LLaMA-Factory's keys and values, in the order in which they are written. What the
            launcher decides is not among them, but for an ``output_dir`` to fall back on.
        about: One sentence; empty for a user's file.
        memory: GPU memory that it needs, in words; empty where it is not known.
        tiny_model: Whether it trains a tiny random model, which the launcher makes first and names
            to `mat_trainer.core.plan.bind`.
        notices: What was changed or deserves a word, a sentence each, for the user to read.
    """

    name: str
    settings: dict[str, Any]
    about: str = ""
    memory: str = ""
    tiny_model: bool = False
    notices: tuple[str, ...] = ()

    @property
    def trusts_remote_code(self) -> bool:
        """Whether code that comes with the model is run."""
        return self.settings.get("trust_remote_code") is True

    @property
    def on_cpu(self) -> bool:
        """Whether it trains on the processor even where there are GPUs."""
        return self.settings.get("use_cpu") is True


class _About(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    about: str = ""
    memory: str = ""
    tiny_model: bool = False


def load(name_or_path: str, changes: Sequence[str] = (), known: KnownKeys | None = None) -> Recipe:
    """Loads a preset or a user's file, changes it and checks every key.

    Args:
        name_or_path: A preset's name, or the path of a YAML file; what ends in .yaml or .yml, or
            has a folder in it, is a path.
        changes: ``KEY=VALUE`` each, as after ``--set``; null leaves a key out.
        known: The keys to check against; those that come with this package where none are given.

    Raises:
        ConfigError: With every fault that was found.
    """
    text, is_preset = _text(name_or_path)
    written = document.read(text, name_or_path)
    faults: list[str] = []
    notices: list[str] = []
    said = _said(written.pop(ABOUT, {}), faults)
    settings = migrate.migrate(written, notices, faults)
    _leave_to_launcher(settings, notices, is_preset=is_preset)
    changed = migrate.migrate(overrides.parse(changes, faults), notices, faults)
    _choose_entry(settings, changed, notices, faults)
    known = known or known_keys.shipped()
    faults += known_keys.faults(_merged(settings, changed), known)
    removed = [key for key, value in changed.items() if value is None]
    faults += known_keys.unknown([key for key in removed if key not in settings], known)
    if faults:
        raise ConfigError(faults)
    settings = _merged(settings, changed)
    return Recipe(
        name=name_or_path if is_preset else Path(name_or_path).stem,
        settings=settings,
        about=said.about,
        memory=said.memory,
        tiny_model=said.tiny_model and "model_name_or_path" not in settings,
        notices=tuple(notices),
    )


def _merged(settings: dict[str, Any], changed: dict[str, Any]) -> dict[str, Any]:
    merged = settings | changed
    return {k: v for k, v in merged.items() if not (v is None and k in changed)}


def _text(name_or_path: str) -> tuple[str, bool]:
    if os.sep not in name_or_path and not name_or_path.endswith((".yaml", ".yml")):
        names = presets.names()
        if name_or_path in names:
            return presets.text(name_or_path), True
        near = known_keys.nearest(name_or_path, names)
        meant = f"; the nearest is {near}" if near else ""
        raise ConfigError(
            [
                f"{name_or_path}: no such preset{meant}; there are {', '.join(names)}, or give the "
                "path of a YAML file"
            ]
        )
    try:
        return Path(name_or_path).read_text(encoding="utf-8"), False
    except FileNotFoundError:
        raise ConfigError([f"{name_or_path}: no such file; check the path"]) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([f"{name_or_path}: cannot be read: {error}"]) from None


def _said(value: Any, faults: list[str]) -> _About:
    try:
        return msgspec.convert(value, _About)
    except msgspec.ValidationError as error:
        faults.append(f"{ABOUT}: {error}; it may say about, memory and tiny_model")
        return _About()


def _leave_to_launcher(settings: dict[str, Any], notices: list[str], *, is_preset: bool) -> None:
    """Takes out what the command line decides."""
    if "output_dir" in settings and not is_preset:
        notices.append(f"output_dir: {settings['output_dir']} gives way to --output-dir")
    for key in ("dataset_dir", "media_dir"):
        if settings.pop(key, None) is not None:
            notices.append(f"{key} is left out: it is where --dataset lies")
    if settings.pop("overwrite_output_dir", None):
        notices.append(
            "overwrite_output_dir: true is left out: it would start anew after an interruption; "
            "say --resume never where that is meant"
        )
    if settings.get("resume_from_checkpoint", 0) is None:
        del settings["resume_from_checkpoint"]


def _choose_entry(
    settings: dict[str, Any],
    changed: dict[str, Any],
    notices: list[str],
    faults: list[str],
) -> None:
    """Keeps the name of an entry that beam-mat writes; a file's other names are left out."""
    if settings.get("dataset", ENTRIES[0]) not in ENTRIES:
        named = settings.pop("dataset")
        if "dataset" not in changed:
            notices.append(f"dataset: {named} is left out: trained on is what --dataset holds")
    chosen = changed.get("dataset")
    if chosen is not None and chosen not in ENTRIES:
        faults.append(f"--set dataset={chosen}: give one of {', '.join(ENTRIES)}")
