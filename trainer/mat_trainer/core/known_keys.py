"""The keys that LLaMA-Factory takes for training, and what is wrong with a value.

``known_keys.json`` is written by ``python -m mat_trainer.worker.arguments`` from the argument
classes of the versions that it names, so that a machine without them can check a recipe too.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Mapping
from functools import cache
from importlib import resources
from typing import Any

import msgspec

# Values that must not be written into a YAML file, where logs and checkpoints would repeat them.
SECRETS = {
    "hf_hub_token": "set HF_TOKEN in the environment",
    "hub_token": "set HF_TOKEN in the environment",
    "push_to_hub_token": "set HF_TOKEN in the environment",
    "ms_hub_token": "set MODELSCOPE_API_TOKEN in the environment",
    "om_hub_token": "log in with the hub's own tool",
    "swanlab_api_key": "set SWANLAB_API_KEY in the environment",
    "swanlab_lark_secret": "leave it out",
    "swanlab_lark_webhook_url": "leave it out",
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
    """A setting.

    Attributes:
        types: Of bool, int, float, str, list, dict, null: what its value may be.
        choices: The only texts that it takes, or none if it takes all.
        default: Its value where nothing is said; None also for one that JSON cannot hold.
    """

    types: tuple[str, ...]
    choices: tuple[str, ...] = ()
    default: Any = None


class KnownKeys(msgspec.Struct, frozen=True):
    """Every key that the parser accepts, and the versions that it was asked of."""

    llamafactory: str
    transformers: str
    keys: dict[str, Key]


@cache
def shipped() -> KnownKeys:
    """The list that comes with this package."""
    return parse(resources.files(__package__).joinpath("known_keys.json").read_bytes())


def parse(data: bytes) -> KnownKeys:
    """Reads a list as ``mat_trainer.worker.arguments`` writes it."""
    return msgspec.json.decode(data, type=KnownKeys)


def faults(settings: Mapping[str, Any], known: KnownKeys) -> list[str]:
    """What is wrong with the settings, a sentence each; values of unknown keys are not repeated."""
    found = unknown(settings, known)
    for name, value in settings.items():
        key = known.keys.get(name)
        if key is None:
            continue
        if name in SECRETS and value is not None:
            found.append(
                f"{name}: a secret does not belong into a recipe, where logs and checkpoints would "
                f"repeat it; {SECRETS[name]}"
            )
        elif wrong := _wrong(value, key):
            shown = json.dumps(value, ensure_ascii=False, default=str)
            found.append(f"{name}: {shown} {wrong}")
    return found


def unknown(names: Iterable[str], known: KnownKeys) -> list[str]:
    """A sentence for each name that is no key, with the nearest one that is."""
    found = []
    for name in names:
        if name not in known.keys:
            near = nearest(name, known.keys)
            meant = f"; the nearest is {near}" if near else ""
            found.append(f"{name}: LLaMA-Factory {known.llamafactory} knows no such key{meant}")
    return found


def nearest(name: str, names: Iterable[str]) -> str | None:
    """The most similar name, if any is similar at all.

    >>> nearest("learning_rat", ["learning_rate", "logging_steps"])
    'learning_rate'
    """
    near = difflib.get_close_matches(name.lower().replace("-", "_"), names, n=1, cutoff=0.5)
    return near[0] if near else None


def _wrong(value: Any, key: Key) -> str | None:
    kind = "null" if value is None else type(value).__name__
    fits = kind in key.types or (kind == "int" and "float" in key.types)
    if fits and not (kind == "str" and key.choices and value not in key.choices):
        return None
    if key.choices:
        quoted = "; a bare no or off is false in YAML, quote it" if value is False else ""
        return f"is none of its values; give one of {', '.join(key.choices)}{quoted}"
    give = " or ".join(_WORDS[kind] for kind in key.types if kind != "null")
    instead = f", such as {key.default}" if isinstance(key.default, int | float) else ""
    return f"is {_WORDS.get(kind, kind)}; give {give}{instead}"
