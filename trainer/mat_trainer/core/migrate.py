"""Renames keys of LLaMA-Factory 0.9.0 (2024) and later to those of 0.9.5.

Source: the argument classes of the releases 0.9.0 to 0.9.5.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

# A smaller resolution is a side in pixels, as in 0.9.0 (defaults: 512 and 128); others are areas,
# as in 0.9.1 (512 * 512 and 128 * 128). Nobody trains on sides of 8192 pixels or on 90 by 90.
LEAST_AREA = 8192

# Renamed without a change of meaning.
_RENAMED = {
    "evaluation_strategy": "eval_strategy",
    "new_special_tokens": "add_special_tokens",
    "use_cache": "use_kv_cache",
}
_RESOLUTIONS = {
    "image_resolution": "image_max_pixels",
    "video_resolution": "video_max_pixels",
}


def migrate(settings: dict[str, Any], notices: list[str], faults: list[str]) -> dict[str, Any]:
    """The settings with the keys of 0.9.5, in the same order.

    Args:
        settings: The settings as written; not changed.
        notices: Takes a sentence for each change.
        faults: Takes a sentence for each key that is set under its old and its new name.
    """
    migrated: dict[str, Any] = {}
    for key, value in settings.items():
        change = _CHANGES.get(key)
        new, notice = change(key, value) if change else ({key: value}, "")
        both = [name for name in new if name != key and name in settings]
        if both:
            faults.append(f"{key} is the old name of {both[0]}, which is set too; remove {key}")
            continue
        migrated.update(new)
        if notice:
            notices.append(notice)
    return migrated


def _resolution(key: str, value: Any) -> tuple[dict[str, Any], str]:
    new = _RESOLUTIONS[key]
    if type(value) is not int:  # a fault, or null to leave the key out
        return {new: value}, f"{key} is now called {new}"
    if value >= LEAST_AREA:
        return {new: value}, f"{key}: {value} is read as an area in pixels, {new}: {value}"
    area = value * value
    return (
        {new: area},
        f"{key}: {value} is read as a side in pixels, as LLaMA-Factory 0.9.0 did, {new}: {area}; "
        f"for an area, write {new}: {value}",
    )


def _renamed(key: str, value: Any) -> tuple[dict[str, Any], str]:
    return {_RENAMED[key]: value}, f"{key} is now called {_RENAMED[key]}"


def _projector_only(key: str, value: Any) -> tuple[dict[str, Any], str]:
    if value is not True:
        return {}, f"{key}: {value} is left out: LLaMA-Factory no longer has this key"
    parts = {"freeze_multi_modal_projector": False, "freeze_language_model": True}
    spelled = ", ".join(f"{name}: {str(frozen).lower()}" for name, frozen in parts.items())
    return parts, f"{key}: true is now written {spelled}"


def _quantization(key: str, value: Any) -> tuple[dict[str, Any], str]:
    if value != "bitsandbytes":
        return {key: value}, ""
    return {key: "bnb"}, f"{key}: bitsandbytes is now called bnb"


def _image_dir(key: str, _value: Any) -> tuple[dict[str, Any], str]:
    return {}, f"{key} is left out: the images come from --dataset"


_CHANGES: dict[str, Callable[[str, Any], tuple[dict[str, Any], str]]] = {
    **dict.fromkeys(_RESOLUTIONS, _resolution),
    **dict.fromkeys(_RENAMED, _renamed),
    "train_mm_proj_only": _projector_only,
    "quantization_method": _quantization,
    "image_dir": _image_dir,
}
