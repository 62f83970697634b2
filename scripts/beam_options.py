"""Writes ``beam_mat/runners/beam_options.json``: which options Apache Beam has.

With them ``beam-mat`` reports a typing error without importing Beam, which takes a second. Run this
when the version of Beam changes: ``.venv/bin/python scripts/beam_options.py``.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

from apache_beam.options.pipeline_options import PipelineOptions, _BeamArgumentParser

DATA = Path(__file__).resolve().parents[1] / "beam_mat" / "runners" / "beam_options.json"


def options() -> str:
    """The text of the file: each option with the kind of its value, see `choose.OPTIONS`."""
    kinds = {option: _kind(action) for action in _actions() for option in action.option_strings}
    return json.dumps(kinds, indent=2, sort_keys=True) + "\n"


def _actions() -> list[argparse.Action]:
    whole = _BeamArgumentParser(allow_abbrev=False, add_help=False)
    for kind in dict.fromkeys(_kinds(PipelineOptions)):
        if "_add_argparse_args" in kind.__dict__:
            kind._add_argparse_args(whole)
    return list(whole._actions)


def _kinds(above: type[PipelineOptions]) -> Iterator[type[PipelineOptions]]:
    for kind in above.__subclasses__():
        # Other packages may have options of their own.
        if kind.__module__.startswith("apache_beam.options."):
            yield kind
            yield from _kinds(kind)


def _kind(action: argparse.Action) -> str | tuple[str, ...]:
    if action.nargs == 0:
        return "flag"
    if action.nargs == "?":
        return "optional"
    assert action.nargs is None, action
    if action.choices:
        return tuple(map(str, action.choices))
    return {int: "int", float: "float"}.get(action.type, "text")  # type: ignore[arg-type]


if __name__ == "__main__":
    DATA.write_text(options(), encoding="utf-8")
