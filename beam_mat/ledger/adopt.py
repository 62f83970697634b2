"""A conversion's dataset becomes a generation."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from beam_mat.core import layout
from beam_mat.core.chunk import Shard
from beam_mat.core.errors import ConfigError, LostRecordError, OutputInUseError
from beam_mat.core.notes import MixNote, Source
from beam_mat.ledger.ledger import Ledger
from beam_mat.manifest import Manifest
from beam_mat.storage import notes


def adopt(
    ledger: Ledger,
    manifest: Manifest,
    order_of_shard: Callable[[str], int],
    order_of_zip: Callable[[str], int],
) -> None:
    """Takes what a conversion has made for the next generation.

    Args:
        ledger: The log that goes on.
        manifest: The conversion's.
        order_of_shard: Place of a shard among those of other patterns, by uri.
        order_of_zip: The same of a zip.

    Raises:
        ConfigError: The conversion's notes are not all there.
        OutputInUseError: Another run writes there.
    """
    settings = ledger.settings
    try:
        entries = [
            ledger.entry(Shard(one.uri, order_of_shard(one.uri), one.size, one.version))
            for one in manifest.inputs.json
        ]
    except (LostRecordError, msgspec.DecodeError) as error:
        raise ConfigError(
            [
                f"{settings.output}: the notes of its conversion are not all there ({error}); "
                "make it anew with beam-mat convert --overwrite, or name another folder"
            ]
        ) from error
    sources = [
        Source(one.uri, order_of_zip(one.uri), one.size, one.version)
        for one in manifest.inputs.images
    ]
    parts = {part.path for part in manifest.parts}
    mixes = {
        note.job.name: note
        for note in notes.collect(settings, layout.MIXED_NOTES, MixNote)
        if {part.path for part in note.parts} <= parts
    }
    if not ledger.adopt(entries, sources, mixes, manifest.image_table):
        raise OutputInUseError(f"{settings.output}: another run writes here; wait for its end")
    if {part.path for part in ledger.contents.parts()} != parts:
        raise LostRecordError(f"{settings.output}: the notes tell of other parts than the manifest")
