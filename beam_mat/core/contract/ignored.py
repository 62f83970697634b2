"""Finds values that matter for training and that LLaMA-Factory does not read.

It reads the columns that the entry lists, and the role and content of each turn.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from beam_mat.core.contract.entry import Entry
from beam_mat.core.contract.finding import Finding, Kind, shown
from beam_mat.core.schemas.draft import LOSS_KEYS, TURN_KEYS, is_empty

NAMES = {
    "system": ("system", "system_prompt", "system-prompt"),
    "tools": ("tools", "functions"),
    "images": ("images", "image"),
    "videos": ("videos", "video"),
    "audios": ("audios", "audio"),
    "chosen": ("chosen",),
    "rejected": ("rejected", "rejected_response"),
    "kto_tag": ("kto_tag",),
}
"""Usual names of the columns that LLaMA-Factory can read."""
USUAL = frozenset(name for names in NAMES.values() for name in names)

_TURN_KEYS = TURN_KEYS | {*LOSS_KEYS}


def ignored_columns(
    row: Mapping[str, Any], entry: Entry, system: object, counted: Sequence[str]
) -> Iterator[Finding]:
    """The columns of a row that are ignored.

    `system` is the system prompt that is used. The columns of `counted` are mentioned elsewhere,
    because their images do not fit the placeholders.
    """
    # Most rows have no column that is not listed.
    if not USUAL & row.keys() - {*entry.columns.values()}:
        return
    for name, usual in NAMES.items():
        if name in counted or not is_empty(row.get(entry.columns.get(name, ""))):
            continue
        for key in usual:
            value = row.get(key)
            if key not in entry.columns.values() and not is_empty(value):
                if name == "system" and value == system:
                    continue
                why = f"the row has {key}, which columns does not list: {shown(value)}"
                yield Finding(Kind.COLUMN_IGNORED, why)


def ignored_turn_keys(turns: Sequence[tuple[str, Mapping[str, Any]]]) -> Iterator[Finding]:
    """The keys of turns that are ignored. `turns` are names and values."""
    for name, turn in turns:
        for key in sorted(_TURN_KEYS & turn.keys()):
            value = turn[key]
            if key in LOSS_KEYS:
                if value is None or value == 1:
                    continue
            elif is_empty(value):
                continue
            why = f"{name} has {key}, which LLaMA-Factory does not read: {shown(value)}"
            yield Finding(Kind.TURN_KEY_IGNORED, why)
