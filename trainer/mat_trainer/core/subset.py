"""Subsets of a dataset: rows with equal columns, which need an entry of their own. Pure.

A subset's name consists of words: rows of ``ranking`` have two answers, those of ``kto`` a label,
those of ``tools`` a list of tools, and those of ``noid`` no id. beam-mat has the same rules in
`beam_mat.core.layout` and `beam_mat.dataset.views`; the golden datasets hold the two together.
"""

from __future__ import annotations

from collections.abc import Container

JSONL = "jsonl"
PARQUET = "parquet"
TRAIN = "train"
SFT = "sft"
"""LLaMA-Factory's default for the setting `stage`."""

_RANKING, _KTO, _TOOLS, _NO_ID = "ranking", "kto", "tools", "noid"
_MORE = {_TOOLS: ("tools",), _RANKING: ("chosen", "rejected"), _KTO: ("kto_tag",)}


def fault(subset: str) -> str | None:
    """Why this version cannot read a subset; None if it can.

    >>> fault("ranking_tools_noid")
    >>> fault("video")
    "has rows of the unknown kind 'video'"
    """
    unknown = [word for word in subset.split("_") if word not in (*_MORE, _NO_ID, "")]
    return f"has rows of the unknown kind {subset[:50]!r}" if unknown else None


def columns(subset: str) -> tuple[str, ...]:
    """The columns that LLaMA-Factory reads.

    >>> columns("kto_noid")
    ('messages', 'images', 'system', 'kto_tag')
    """
    words = subset.split("_")
    more = (column for word, added in _MORE.items() if word in words for column in added)
    return ("messages", "images", "system", *more)


def is_ranking(subset: str) -> bool:
    """Whether a row has two answers, of which one is better."""
    return _RANKING in subset.split("_")


def is_kto(subset: str) -> bool:
    """Whether a row says if its answer is good."""
    return _KTO in subset.split("_")


def stages(subset: str) -> tuple[str, ...]:
    """The values of `stage` that train on a subset, the usual one first.

    Source: llamafactory.data.loader._get_merged_dataset refuses ranking in other stages, and
    others in these. The processors of the other stages leave out every row that does not fit.

    >>> stages("tools_noid"), stages("ranking"), stages("kto")
    (('sft', 'pt', 'ppo'), ('dpo', 'rm'), ('kto',))
    """
    if is_ranking(subset):
        return ("dpo", "rm")
    return ("kto",) if is_kto(subset) else (SFT, "pt", "ppo")


def has(subset: str) -> str:
    """What the rows have, for messages."""
    if is_ranking(subset):
        return "pairs of answers (chosen, rejected)"
    return "answers with a label (kto_tag)" if is_kto(subset) else "one answer a row"


def entry_name(name: str, format: str, subset: str, split: str, subsets: Container[str]) -> str:
    """The name of an entry in the registry that beam-mat writes.

    Args:
        name: The name that all entries of a dataset begin with.
        format: ``jsonl`` or ``parquet``.
        subset: The subset.
        split: ``train`` or ``val``.
        subsets: Those of the dataset. ``noid`` is named only beside the same rows with ids.

    >>> entry_name("mat", "jsonl", "ranking_noid", "train", {"ranking_noid"})
    'mat_ranking'
    >>> entry_name("mat", "parquet", "noid", "val", {"", "noid"})
    'mat_noid_parquet_val'
    """
    if _NO_ID in subset.split("_"):
        with_ids = subset.removesuffix(_NO_ID).removesuffix("_")
        subset = subset if with_ids in subsets else with_ids
    kind = "" if format == JSONL else format
    return "_".join(filter(None, (name, subset, kind, "" if split == TRAIN else split)))
