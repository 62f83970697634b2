"""The lengths of rows in tokens, and the rows that exceed a run's `cutoff_len`. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

UNKNOWN = -1
"""The length of a row that LLaMA-Factory's own code fails on."""

DEFAULT_CUTOFF = 2048
"""LLaMA-Factory's default for `cutoff_len` (hparams/data_args.py)."""

SETTINGS = tuple(
    """
    add_special_tokens add_tokens audio_sampling_rate cache_dir crop_to_patches default_system
    enable_thinking image_do_pan_and_scan image_max_pixels image_min_pixels mask_history
    model_name_or_path model_revision new_special_tokens_config preserve_thinking resize_vocab
    split_special_tokens template tool_format train_on_prompt trust_remote_code
    use_audio_in_video use_fast_tokenizer video_fps video_max_pixels video_maxlen
    video_min_pixels
    """.split()
)
"""LLaMA-Factory's settings that a length depends on. No others are passed on, and no secrets."""


class Spec(msgspec.Struct, frozen=True):
    """What to measure.

    Attributes:
        settings: The recipe's settings that are in `SETTINGS`.
        dataset_dir: Folder with dataset_info.json.
        media_dir: Folder that image paths are relative to.
        entries: For each registry entry, its parts and how many rows each has.
        processes: The most processes to use; never more than there are cores.
    """

    settings: dict[str, Any]
    dataset_dir: str
    media_dir: str
    entries: dict[str, dict[str, int]]
    processes: int


class PartLengths(msgspec.Struct, frozen=True):
    """The rows of a part, in order.

    Attributes:
        tokens: How many each has, or `UNKNOWN`; of a pair of answers, with the longer one.
        images: How many each has.
        answers: How many of the tokens are the answer, for rows with a label; 0 for others.
    """

    tokens: list[int]
    images: list[int]
    answers: list[int] = []


class Lengths(msgspec.Struct, frozen=True):
    """The lengths of a dataset's rows.

    Attributes:
        parts: Lengths by the part's path.
        faults: The first rows that LLaMA-Factory's own code fails on, one sentence each.
        fault_count: How many such rows there are.
    """

    parts: dict[str, PartLengths]
    faults: tuple[str, ...] = ()
    fault_count: int = 0


_ROW = re.compile(r"(.*, row \d+): (.*); leave the record out", re.DOTALL)


def row_faults(measured: Lengths, template: object) -> list[str]:
    """The faults of rows, one sentence for each cause.

    Args:
        measured: The lengths; their faults are the first ones only.
        template: The template's name. One that is not the model's fails for many rows alike.
    """
    groups: dict[str, list[str]] = {}
    for fault in measured.faults:
        found = _ROW.fullmatch(fault)
        where, cause = found.groups() if found else ("", fault)
        groups.setdefault(cause, []).append(where)
    more = measured.fault_count - len(measured.faults)
    if len(groups) == 1 and measured.fault_count > 1:
        ((cause, places),) = groups.items()
        return [
            f"{measured.fault_count:,} rows fail{f', the first {len(places)} of them' * bool(more)}"
            f" alike: {places[0]}: {cause}; if template {template} is not the model's, choose that "
            "one, else leave these records out"
        ]
    said = [
        f"{cause} ({len(places)} rows, the first is {places[0]}); leave the records out"
        if len(places) > 1
        else f"{places[0]}: {cause}; leave the record out"
        for cause, places in groups.items()
    ]
    return said + ([f"and {more:,} more rows with faults like these"] if more else [])


class Over(msgspec.Struct, frozen=True):
    """Rows that are longer than the cutoff.

    Attributes:
        cutoff: The most tokens that a row may have.
        rows: How many rows there are in all.
        long: The rows that need more, by part.
        with_images: How many of them have images. If they were cut, their images would not match
            their tokens, and training would fail; rows without images would lose their end.
        longest: Tokens that the longest row needs.
    """

    cutoff: int
    rows: int
    long: dict[str, frozenset[int]]
    with_images: int
    longest: int

    def count(self) -> int:
        """How many rows exceed the cutoff."""
        return sum(len(rows) for rows in self.long.values())


def cutoff(settings: Mapping[str, Any]) -> int:
    """The most tokens that a row may have in a run.

    >>> cutoff({"cutoff_len": 10240}), cutoff({"cutoff_len": 10240, "packing": True})
    (10240, 10239)
    """
    length = int(settings.get("cutoff_len") or DEFAULT_CUTOFF)
    # DataArguments.__post_init__ subtracts one.
    return length - 1 if settings.get("packing") or settings.get("neat_packing") else length


def over(lengths: Lengths, cutoff: int) -> Over:
    """Finds the rows that need more than `cutoff` tokens."""
    parts = sorted(lengths.parts.items())
    answer = _longest_answer(lengths, cutoff)
    found = {
        path: frozenset(row for row, tokens in enumerate(_needed(part, answer)) if tokens > cutoff)
        for path, part in parts
    }
    whole = _longest_answer(lengths)
    return Over(
        cutoff=cutoff,
        rows=sum(len(part.tokens) for _, part in parts),
        long={path: rows for path, rows in found.items() if rows},
        with_images=sum(bool(part.images[row]) for path, part in parts for row in found[path]),
        longest=max((max(_needed(part, whole), default=0) for _, part in parts), default=0),
    )


def _longest_answer(lengths: Lengths, cutoff: int | None = None) -> int:
    """Tokens of the longest answer with a label, of rows that are not longer than `cutoff`."""
    rows = (
        (tokens, answer)
        for part in lengths.parts.values()
        for tokens, answer in zip(part.tokens, part.answers, strict=False)
    )
    return max((answer for tokens, answer in rows if cutoff is None or tokens <= cutoff), default=0)


def _needed(part: PartLengths, other: int) -> list[int]:
    """The least `cutoff_len` that keeps the text before each row's answer.

    KTO reads each row twice: with its own answer, and with that of another row, which may have
    `other` tokens. If the two are too long, LLaMA-Factory cuts the text before the answer, unless
    that is shorter than half of the cutoff. Source: infer_seqlen in
    llamafactory.data.processor.processor_utils.

    >>> _needed(PartLengths([600, 100], [1, 1], [100, 50]), 700)
    [1001, 101]
    """
    if not any(part.answers):
        return part.tokens
    before = [tokens - answer for tokens, answer in zip(part.tokens, part.answers, strict=True)]
    return [
        max(tokens, min(text + other, 2 * text + 1))
        for tokens, text in zip(part.tokens, before, strict=True)
    ]
