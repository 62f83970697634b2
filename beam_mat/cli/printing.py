"""Prints long texts to where they may be cut off."""

from __future__ import annotations

import os
import sys


def print_text(text: str) -> None:
    """Prints a text to standard output."""
    try:
        print(text, flush=True)
    except BrokenPipeError:  # the reader, such as head, has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
