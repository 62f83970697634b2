"""The import of Apache Beam: what is printed of the log, and when garbage is collected."""

from __future__ import annotations

import contextlib
import gc
import logging
import sys
from collections.abc import Iterator


class StandardError(logging.Handler):
    """Writes to whatever standard error is at the moment: a progress display may replace it."""

    def emit(self, record: logging.LogRecord) -> None:
        sys.stderr.write(self.format(record) + "\n")


def quieten() -> None:
    """Keeps Beam's log from being printed.

    Errors of workers come back as exceptions, traceback included, and Beam's log would repeat them.
    At its import Beam also warns about packages that only other runners need.
    """
    quiet = logging.StreamHandler()
    quiet.setLevel(logging.CRITICAL)
    logging.basicConfig(level=logging.CRITICAL, handlers=[quiet])


@contextlib.contextmanager
def own_log(least: int = logging.WARNING) -> Iterator[None]:
    """Prints what this package itself logs while the block lasts, from a level up."""
    logger = logging.getLogger("beam_mat")
    handler, level = StandardError(least), logger.level
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logger.addHandler(handler)
    logger.setLevel(least)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


@contextlib.contextmanager
def loading() -> Iterator[None]:
    """Imports faster: what is imported stays, so looking through it for garbage wastes time."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
