"""The options of Apache Beam, read from ``beam_options.json`` beside this module."""

from __future__ import annotations

from importlib import resources

import msgspec

OPTIONS = msgspec.json.decode(
    resources.files(__package__ or "").joinpath("beam_options.json").read_bytes(),
    type=dict[str, str | tuple[str, ...]],
)
"""Each option with the kind of its value.

The kinds are "flag" for none, "optional" for one that may be left out, "text", "int" or "float", or
the values that Beam accepts. Written by scripts/beam_options.py; do not edit.
"""
