"""Lists the keys that the installed LLaMA-Factory accepts for training, from its parser's classes.

python -m mat_trainer.worker.arguments > mat_trainer/core/known_keys.json
"""

from __future__ import annotations

import contextlib
import dataclasses
import enum
import json
import sys
import types
import typing
from typing import Any

_JSON_TYPES = {
    bool: "bool",
    int: "int",
    float: "float",
    str: "str",
    list: "list",
    dict: "dict",
    type(None): "null",
}


def main() -> int:
    """Prints the list as JSON."""
    with contextlib.redirect_stdout(sys.stderr):  # messages of its imports
        listed = installed()
    sys.stdout.write(rendered(listed))
    return 0


def rendered(listed: dict[str, Any]) -> str:
    """The list as JSON, one line for each key."""
    keys = ",\n".join(
        f"{json.dumps(name)}: {json.dumps(key)}" for name, key in listed["keys"].items()
    )
    versions = {name: text for name, text in listed.items() if name != "keys"}
    return f'{json.dumps(versions)[:-1]}, "keys": {{\n{keys}\n}}}}\n'


def installed() -> dict[str, Any]:
    """The list, as `mat_trainer.core.known_keys.parse` reads it."""
    import transformers
    from llamafactory.extras.env import VERSION
    from llamafactory.hparams import parser

    keys: dict[str, Any] = {}
    for kind in parser._TRAIN_ARGS:
        hints = typing.get_type_hints(kind)
        for field in dataclasses.fields(kind):
            if field.init:
                keys[field.name] = _key(field, hints[field.name])
    return {
        "llamafactory": VERSION,
        "transformers": transformers.__version__,
        "keys": dict(sorted(keys.items())),
    }


def _key(field: dataclasses.Field[Any], hint: Any) -> dict[str, Any]:
    kinds: list[str] = []
    choices: list[str] = []
    _collect(hint, kinds, choices)
    key: dict[str, Any] = {"types": sorted(set(kinds))}
    if choices:
        key["choices"] = choices
    default = field.default
    if isinstance(default, enum.Enum):
        default = default.value
    if isinstance(default, bool | int | float | str):
        key["default"] = default
    return key


def _collect(hint: Any, kinds: list[str], choices: list[str]) -> None:
    """Adds the JSON types and the choices that a type hint allows."""
    origin = typing.get_origin(hint)
    if origin is typing.Union or origin is types.UnionType:
        for part in typing.get_args(hint):
            _collect(part, kinds, choices)
    elif origin is typing.Literal:
        kinds.append("str")
        choices.extend(typing.get_args(hint))
    elif isinstance(hint, type) and issubclass(hint, enum.Enum):
        kinds.append("str")
        choices.extend(str(member.value) for member in hint)
    elif (origin or hint) in _JSON_TYPES:  # other types cannot be in a file
        kinds.append(_JSON_TYPES[origin or hint])


if __name__ == "__main__":
    sys.exit(main())
