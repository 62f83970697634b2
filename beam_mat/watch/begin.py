"""A watch's beginning: what is in the output folder, and what a run before left half done."""

from __future__ import annotations

from functools import partial

from beam_mat import earlier, publish
from beam_mat.config import Job
from beam_mat.core.errors import ConfigError
from beam_mat.ledger import Ledger, adopt, cleaning
from beam_mat.storage import files
from beam_mat.watch import board
from beam_mat.watch.facts import WatchSettings
from beam_mat.watch.places import order_of


def begin(watch: WatchSettings) -> Ledger:
    """Makes the output folder ready; the caller holds its lease.

    A dataset that a conversion has made becomes the first generation, or the next one. Where a run
    was killed between a generation and what follows it, that is done now.

    Raises:
        ConfigError: What is there was made with other options, or cannot be understood.
    """
    settings = watch.settings
    found = earlier.look(settings.output)
    faults = earlier.differences(_job(watch), found)
    if faults:
        raise ConfigError(faults)
    ledger = Ledger(settings)
    if found.manifest and found.manifest.generation is None:
        adopt(ledger, found.manifest, partial(_order, watch.json), partial(_order, watch.images))
    else:
        ledger.settle((found.manifest.generation or 0) if found.manifest else 0)
    publish.begin_watch(ledger.job())
    files.remove(files.join(settings.output, board.UNREADABLE))
    cleaning.tidy(settings, ledger.listed(), ledger.known())
    return ledger


def _job(watch: WatchSettings) -> Job:
    return Job((), (), watch.settings, None, None, "")


def _order(patterns: tuple[str, ...], uri: str) -> int:
    """What comes by no pattern comes last."""
    order = order_of(uri, patterns)
    return len(patterns) if order is None else order
