"""How long rows are in tokens, and which of them pass a run's `cutoff_len`. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

UNKNOWN = -1
"""The length of a row that LLaMA-Factory's own code fails on."""

DEFAULT_CUTOFF = 2048
"""LLaMA-Factory's `cutoff_len` where none is given (hparams/data_args.py)."""

SETTINGS = (
    "add_special_tokens",
    "add_tokens",
    "audio_sampling_rate",
    "cache_dir",
    "crop_to_patches",
    "default_system",
    "enable_thinking",
    "image_do_pan_and_scan",
    "image_max_pixels",
    "image_min_pixels",
    "mask_history",
    "model_name_or_path",
    "model_revision",
    "new_special_tokens_config",
    "preserve_thinking",
    "resize_vocab",
    "split_special_tokens",
    "template",
    "tool_format",
    "train_on_prompt",
    "trust_remote_code",
    "use_audio_in_video",
    "use_fast_tokenizer",
    "video_fps",
    "video_max_pixels",
    "video_maxlen",
    "video_min_pixels",
)
"""LLaMA-Factory's settings that a length depends on. No others are passed on, tokens least."""


class Spec(msgspec.Struct, frozen=True):
    """What to measure.

    Attributes:
        settings: Of the recipe, those of `SETTINGS`.
        dataset_dir: Folder with dataset_info.json.
        media_dir: Folder that image paths are relative to.
        entries: For each entry of the registry its parts and their rows.
        processes: At most so many; no more than there are cores.
    """

    settings: dict[str, Any]
    dataset_dir: str
    media_dir: str
    entries: dict[str, dict[str, int]]
    processes: int


class PartLengths(msgspec.Struct, frozen=True):
    """Of each row of a part, in order: its tokens, or `UNKNOWN`, and its images."""

    tokens: list[int]
    images: list[int]


class Lengths(msgspec.Struct, frozen=True):
    """What was measured.

    Attributes:
        parts: By path.
        faults: Rows that LLaMA-Factory's own code fails on, the first of them, a sentence each.
        fault_count: How many there are.
    """

    parts: dict[str, PartLengths]
    faults: tuple[str, ...] = ()
    fault_count: int = 0


class Over(msgspec.Struct, frozen=True):
    """Rows that are longer than the cutoff.

    Attributes:
        cutoff: Tokens that a row may have.
        rows: How many rows there are in all.
        with_images: By part, those with images: cut, their images no longer match their tokens,
            and training fails.
        text_only: By part, those without: LLaMA-Factory cuts their end off.
        longest: Tokens of the longest row.
    """

    cutoff: int
    rows: int
    with_images: dict[str, frozenset[int]]
    text_only: dict[str, frozenset[int]]
    longest: int

    def count(self) -> int:
        """How many pass the cutoff."""
        kinds = (self.with_images, self.text_only)
        return sum(len(rows) for kind in kinds for rows in kind.values())

    def by_part(self) -> dict[str, frozenset[int]]:
        """All that pass the cutoff, by part."""
        paths = sorted({*self.with_images, *self.text_only})
        none: frozenset[int] = frozenset()
        return {
            path: self.with_images.get(path, none) | self.text_only.get(path, none)
            for path in paths
        }


def cutoff(settings: Mapping[str, Any]) -> int:
    """Tokens that a row may have in a run.

    >>> cutoff({"cutoff_len": 10240}), cutoff({"cutoff_len": 10240, "packing": True})
    (10240, 10239)
    """
    length = int(settings.get("cutoff_len") or DEFAULT_CUTOFF)
    # DataArguments.__post_init__ takes one off.
    return length - 1 if settings.get("packing") or settings.get("neat_packing") else length


def over(lengths: Lengths, cutoff: int) -> Over:
    """Finds the rows that are longer than `cutoff` tokens."""
    with_images: dict[str, frozenset[int]] = {}
    text_only: dict[str, frozenset[int]] = {}
    for path, part in sorted(lengths.parts.items()):
        long = [row for row, tokens in enumerate(part.tokens) if tokens > cutoff]
        for kind, rows in (
            (with_images, frozenset(row for row in long if part.images[row])),
            (text_only, frozenset(row for row in long if not part.images[row])),
        ):
            if rows:
                kind[path] = rows
    return Over(
        cutoff,
        sum(len(part.tokens) for part in lengths.parts.values()),
        with_images,
        text_only,
        max((max(part.tokens, default=0) for part in lengths.parts.values()), default=0),
    )
