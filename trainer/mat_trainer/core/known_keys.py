"""The keys that LLaMA-Factory accepts for training, and faults of their values.

``python -m mat_trainer.worker.arguments`` writes ``known_keys.json`` from LLaMA-Factory's argument
classes, so that a machine without LLaMA-Factory can check a recipe too.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Mapping
from functools import cache
from importlib import resources
from typing import Any

import msgspec

# Keys whose values must not be in a YAML file, since logs and checkpoints would repeat them.
SECRETS = {
    "hf_hub_token": "set HF_TOKEN in the environment",
    "hub_token": "set HF_TOKEN in the environment",
    "push_to_hub_token": "set HF_TOKEN in the environment",
    "ms_hub_token": "set MODELSCOPE_API_TOKEN in the environment",
    "om_hub_token": "log in with the hub's own program",
    "swanlab_api_key": "set SWANLAB_API_KEY in the environment",
    "swanlab_lark_secret": "leave it out",
    "swanlab_lark_webhook_url": "leave it out",
}

# What people and other trainers call some keys.
_SHORT = {
    "batch_size": "per_device_train_batch_size",
    "lr": "learning_rate",
    "lr_scheduler": "lr_scheduler_type",
    "scheduler": "lr_scheduler_type",
    "max_length": "cutoff_len",
    "max_seq_length": "cutoff_len",
    "max_seq_len": "cutoff_len",
    "model": "model_name_or_path",
    "model_name": "model_name_or_path",
    "adapter": "adapter_name_or_path",
    "optimizer": "optim",
    "rank": "lora_rank",
    "max_pixels": "image_max_pixels",
    "min_pixels": "image_min_pixels",
}
_WORDS = {
    "bool": "true or false",
    "int": "a whole number",
    "float": "a number",
    "str": "a text",
    "list": "a list",
    "dict": "a mapping",
    "null": "null",
}


class Key(msgspec.Struct, frozen=True):
    """A key of the settings.

    Attributes:
        types: The types of its value: bool, int, float, str, list, dict or null.
        choices: The only texts that it accepts; empty if it accepts any.
        default: Its default value; None also if JSON cannot express it.
    """

    types: tuple[str, ...]
    choices: tuple[str, ...] = ()
    default: Any = None


class KnownKeys(msgspec.Struct, frozen=True):
    """Every key that the parser accepts, and the versions of the packages."""

    llamafactory: str
    transformers: str
    keys: dict[str, Key]


@cache
def shipped() -> KnownKeys:
    """The list that comes with this package."""
    return parse(resources.files(__package__).joinpath("known_keys.json").read_bytes())


def parse(data: bytes) -> KnownKeys:
    """Reads the list that ``mat_trainer.worker.arguments`` writes."""
    return msgspec.json.decode(data, type=KnownKeys)


def faults(settings: Mapping[str, Any], known: KnownKeys) -> list[str]:
    """The faults of the settings, one sentence each. Values of unknown keys are not repeated."""
    found = unknown(settings, known)
    for name, value in settings.items():
        key = known.keys.get(name)
        if key is None:
            continue
        if name in SECRETS and value is not None:
            found.append(
                f"{name}: a secret must not be in a recipe, since logs and checkpoints would "
                f"repeat it; {SECRETS[name]}"
            )
        elif wrong := _wrong(value, key):
            shown = json.dumps(value, ensure_ascii=False, default=str)
            found.append(f"{name}: {shown} {wrong}")
    return found


def unknown(names: Iterable[str], known: KnownKeys) -> list[str]:
    """A sentence for each unknown key, with the nearest known one."""
    found = []
    for name in names:
        if name not in known.keys:
            near = nearest(name, known.keys)
            meant = f"; the nearest is {near}" if near else ""
            found.append(f"{name}: LLaMA-Factory {known.llamafactory} has no such key{meant}")
    return found


def nearest(name: str, names: Iterable[str]) -> str | None:
    """The most similar name; None if none is similar.

    A name of which the given one is a part is nearer than one that is spelled alike.

    >>> nearest("learning_rat", ["learning_rate", "logging_steps"])
    'learning_rate'
    >>> nearest("epochs", ["num_train_epochs", "eval_steps"])
    'num_train_epochs'
    """
    wanted = name.lower().replace("-", "_")
    names = list(names)
    if (short := _SHORT.get(wanted, wanted)) in names:
        return short
    words = set(wanted.split("_"))
    longer = [one for one in names if words < set(one.split("_"))]
    if longer:
        return min(longer, key=lambda one: ("train" not in one.split("_"), len(one), one))
    near = difflib.get_close_matches(wanted, names, n=1, cutoff=0.5)
    return near[0] if near else None


def _wrong(value: Any, key: Key) -> str | None:
    kind = "null" if value is None else type(value).__name__
    fits = kind in key.types or (kind == "int" and "float" in key.types)
    if fits and not (kind == "str" and key.choices and value not in key.choices):
        return None
    if key.choices:
        quoted = "; YAML reads no and off as false: quote them" if value is False else ""
        return f"is not a valid value; use one of {', '.join(key.choices)}{quoted}"
    give = " or ".join(_WORDS[kind] for kind in key.types if kind != "null")
    instead = f", such as {key.default}" if isinstance(key.default, int | float) else ""
    return f"is {_WORDS.get(kind, kind)}; use {give}{instead}"
