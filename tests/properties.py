"""How many examples Hypothesis tries: see `examples`."""

from __future__ import annotations

from hypothesis import settings

THOROUGH = "thorough"

settings.register_profile(THOROUGH, max_examples=100, deadline=None)
settings.register_profile("quick", max_examples=20, deadline=None)


def examples(count: int) -> int:
    """Returns `count`, or a fifth of it with `--hypothesis-profile quick`."""
    profile = settings.default
    assert profile
    return max(1, count * profile.max_examples // 100)
