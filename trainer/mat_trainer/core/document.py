"""Settings as YAML, read and written as LLaMA-Factory's own reader (OmegaConf) reads them.

PyYAML reads ``1e-4`` as a text and ``2026-11-22`` as a date; OmegaConf reads a number and a text.
A recipe must mean the same to both.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

import yaml

from mat_trainer.core.errors import ConfigError

_EXPONENT = re.compile(r"^[-+]?[0-9]+(?:_[0-9]+)*(?:\.[0-9_]*)?[eE][-+]?[0-9]+$")
_TIMESTAMP = "tag:yaml.org,2002:timestamp"


def _resolvers(known: dict[str, Any]) -> dict[str, Any]:
    return {
        first: [(tag, pattern) for tag, pattern in pairs if tag != _TIMESTAMP]
        for first, pairs in known.items()
    }


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers = _resolvers(yaml.SafeLoader.yaml_implicit_resolvers)


class _Dumper(yaml.SafeDumper):
    # Quotes a text that would be read as something else.
    yaml_implicit_resolvers = _resolvers(yaml.SafeDumper.yaml_implicit_resolvers)

    def ignore_aliases(self, _data: Any) -> bool:
        return True


def _text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    # Escaped if it would be read differently, such as the line break U+0085.
    style = None if text.replace("\n", "").isprintable() else '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


class _Readable(yaml.SafeDumper):
    def ignore_aliases(self, _data: Any) -> bool:
        return True


def _block(dumper: _Readable, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)
_Readable.add_representer(str, _block)
for _kind in (_Loader, _Dumper):
    _kind.add_implicit_resolver("tag:yaml.org,2002:float", _EXPONENT, list("-+0123456789"))


def read(text: str, name: str) -> dict[str, Any]:
    """Reads settings: one mapping of keys to values.

    Args:
        text: The YAML.
        name: The file's name, for messages.

    Raises:
        ConfigError: It is not YAML, not a mapping, or sets a key twice.
    """
    try:
        node = yaml.compose(text, Loader=_Loader)
        if node is None:
            return {}
        if not isinstance(node, yaml.MappingNode):
            raise ConfigError(f"{name}: not a file of settings; write lines of KEY: VALUE")
        counts = Counter(str(key.value) for key, _ in node.value)
        twice = [key for key, count in counts.items() if count > 1]
        if twice:
            raise ConfigError(
                *[f"{name}: {key} is set twice; remove one of the two" for key in twice]
            )
        values: dict[Any, Any] = yaml.load(text, Loader=_Loader)
    except yaml.YAMLError as error:
        raise ConfigError(f"{name}: not valid YAML: {_where(error)}; correct that line") from None
    return {str(key): value for key, value in values.items()}


def scalar(text: str) -> Any:
    """The value that YAML reads from a text.

    >>> scalar("1e-4"), scalar("null"), scalar("true"), scalar("q_proj,v_proj")
    (0.0001, None, True, 'q_proj,v_proj')

    Raises:
        ValueError: It is not valid YAML.
    """
    try:
        return yaml.load(text, Loader=_Loader)
    except yaml.YAMLError as error:
        raise ValueError(_where(error)) from None


def write(settings: dict[str, Any]) -> str:
    """The settings in their order, one line each; the inverse of `read`."""
    text: str = yaml.dump(settings, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=4096)
    return text


def dump(documents: Sequence[dict[str, Any]]) -> str:
    """Several documents for people, with their keys in order and texts of several lines as such."""
    return str(yaml.dump_all(documents, Dumper=_Readable, sort_keys=False, width=100))


def _where(error: yaml.YAMLError) -> str:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        mark = error.problem_mark
        return f"{error.problem} in line {mark.line + 1}, column {mark.column + 1}"
    return str(error).replace("\n", " ")
