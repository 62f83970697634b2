"""The recipes that come with this package, as they are written in ``mat_trainer/presets``."""

from __future__ import annotations

from importlib import resources

SUFFIX = ".yaml"
_FOLDER = resources.files("mat_trainer").joinpath("presets")


def names() -> tuple[str, ...]:
    """Their names, in order of the alphabet."""
    files = (file.name for file in _FOLDER.iterdir())
    return tuple(sorted(name.removesuffix(SUFFIX) for name in files if name.endswith(SUFFIX)))


def text(name: str) -> str:
    """The YAML of one of `names`."""
    return _FOLDER.joinpath(name + SUFFIX).read_text(encoding="utf-8")
