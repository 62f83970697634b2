"""A watch's beginning: what is in the output folder, and what a run before left half done."""

from __future__ import annotations

import msgspec

from beam_mat import earlier, publish
from beam_mat.config import Job
from beam_mat.core import layout
from beam_mat.core.chunk import Shard
from beam_mat.core.errors import ConfigError, LostRecordError
from beam_mat.core.generation import Generation, file_name
from beam_mat.core.notes import MixNote, Source
from beam_mat.manifest import Manifest
from beam_mat.storage import files, generations, notes
from beam_mat.watch import board, cleaning
from beam_mat.watch.facts import WatchSettings
from beam_mat.watch.ledger import Ledger
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
        _adopt(watch, ledger, found.manifest)
    else:
        behind = (found.manifest.generation or 0) if found.manifest else 0
        if behind < ledger.contents.number:
            ledger.follow(_since(settings.output, behind, ledger.contents.number))
    publish.begin_watch(ledger.job())
    files.remove(files.join(settings.output, board.UNREADABLE))
    cleaning.tidy(settings, ledger.listed(), ledger.known())
    return ledger


def _job(watch: WatchSettings) -> Job:
    return Job((), (), watch.settings, None, None, "")


def _since(output: str, behind: int, number: int) -> list[Generation]:
    found = (generations.read(output, file_name(at)) for at in range(behind + 1, number + 1))
    return [generation for generation in found if generation]


def _adopt(watch: WatchSettings, ledger: Ledger, manifest: Manifest) -> None:
    """Takes a conversion's dataset for a generation."""
    settings = watch.settings
    try:
        entries = [
            ledger.entry(Shard(shard.uri, _order(shard.uri, watch.json), shard.size, shard.version))
            for shard in manifest.inputs.json
        ]
    except (LostRecordError, msgspec.DecodeError) as error:
        raise ConfigError(
            [
                f"{settings.output}: the notes of its conversion are not all there ({error}); "
                "run beam-mat convert there once more, or name another folder"
            ]
        ) from error
    sources = [
        Source(one.uri, _order(one.uri, watch.images), one.size, one.version)
        for one in manifest.inputs.images
    ]
    parts = {part.path for part in manifest.parts}
    mixes = {
        note.job.name: note
        for note in notes.collect(settings, layout.MIXED_NOTES, MixNote)
        if {part.path for part in note.parts} <= parts
    }
    there = {entry.uri for entry in entries}
    dropped = [uri for uri in ledger.contents.shards if uri not in there]
    ledger.adopt_pictures()
    if not ledger.write(entries, sources, mixes, dropped):
        raise ConfigError([f"{settings.output}: another run writes here; wait for its end"])
    if {part.path for part in ledger.contents.parts()} != parts:
        raise LostRecordError(f"{settings.output}: the notes tell of other parts than the manifest")


def _order(uri: str, patterns: tuple[str, ...]) -> int:
    """What comes by no pattern comes last."""
    order = order_of(uri, patterns)
    return len(patterns) if order is None else order
