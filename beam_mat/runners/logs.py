"""What is printed of the log: only what a block asks for."""

import contextlib
import logging
import sys
from collections.abc import Iterator

from beam_mat.core.display import visible


class _ToStandardError(logging.Handler):
    """Writes to whatever standard error is at the moment: a progress display may replace it."""

    def emit(self, record: logging.LogRecord) -> None:
        sys.stderr.write(visible(self.format(record)) + "\n")


def quieten() -> None:
    """Keeps Beam's log from being printed.

    Errors of workers come back as exceptions, traceback included, and Beam's log would repeat them.
    At its import Beam also warns about packages that only other runners need.
    """
    quiet = logging.StreamHandler()
    quiet.setLevel(logging.CRITICAL)
    logging.basicConfig(level=logging.CRITICAL, handlers=[quiet])


def show_all() -> None:
    """Prints Beam's log after all: some runners report the job and its errors only there."""
    root = logging.getLogger()
    root.setLevel(logging.INFO)
    for handler in root.handlers:
        handler.setLevel(logging.INFO)


@contextlib.contextmanager
def printed(
    name: str = "beam_mat",
    least: int = logging.WARNING,
    form: str | None = "%(asctime)s %(levelname)s %(message)s",
) -> Iterator[None]:
    """Prints what a logger and those below it log while the block lasts, from a level up."""
    logger = logging.getLogger(name)
    handler, level = _ToStandardError(least), logger.level
    handler.setFormatter(logging.Formatter(form))
    logger.addHandler(handler)
    logger.setLevel(least)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
