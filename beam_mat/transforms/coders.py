"""Coders: elements travel between steps as MessagePack.

The structs are encoded as arrays, without field names, because a local runner holds every element
in memory.
"""

from __future__ import annotations

from typing import Any

import msgspec
from apache_beam import coders

from beam_mat.core.chunk import Chunk, Shard
from beam_mat.core.contract.unit import DatasetFile as CheckedFile
from beam_mat.core.contract.unit import ImageUse, LengthFact
from beam_mat.core.contract.unit import Unit as CheckedUnit
from beam_mat.core.references import ChunkFact, PathFact, Source, Wanted, Written
from beam_mat.core.results import MixJob, Unit

STRUCTS: tuple[type[msgspec.Struct], ...] = (
    Shard,
    Chunk,
    Source,
    PathFact,
    Wanted,
    Written,
    ChunkFact,
    Unit,
    MixJob,
    CheckedFile,
    CheckedUnit,
    ImageUse,
    LengthFact,
)


class StructCoder(coders.Coder):
    """Encodes one struct type."""

    def __init__(self, kind: type[msgspec.Struct]) -> None:
        self.kind = kind
        self._encoder = msgspec.msgpack.Encoder()
        self._decoder = msgspec.msgpack.Decoder(kind)

    def encode(self, value: msgspec.Struct) -> bytes:
        return self._encoder.encode(value)

    def decode(self, encoded: bytes) -> Any:
        return self._decoder.decode(encoded)

    def is_deterministic(self) -> bool:
        """Returns True: without sets and mappings, equal structs give equal bytes."""
        return True

    def to_type_hint(self) -> type[msgspec.Struct]:
        return self.kind

    @classmethod
    def from_type_hint(cls, typehint: Any, registry: Any) -> StructCoder:  # noqa: ARG003
        return cls(typehint)

    def __reduce__(self) -> tuple[type[StructCoder], tuple[type[msgspec.Struct]]]:
        return StructCoder, (self.kind,)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, StructCoder) and other.kind is self.kind

    def __hash__(self) -> int:
        return hash(self.kind)


def register(more: tuple[type[msgspec.Struct], ...] = ()) -> None:
    """Registers `StructCoder` with Beam for the types in `STRUCTS` and `more`."""
    for kind in (*STRUCTS, *more):
        coders.registry.register_coder(kind, StructCoder)
