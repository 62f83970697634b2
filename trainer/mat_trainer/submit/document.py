"""YAML that people can read: text of several lines as such, nothing by reference."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import yaml


def dump(documents: Sequence[dict[str, Any]]) -> str:
    """The documents' text, keys in their order."""
    return str(yaml.dump_all(documents, Dumper=_Readable, sort_keys=False, width=100))


class _Readable(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 the base class's
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Readable.add_representer(str, _text)
