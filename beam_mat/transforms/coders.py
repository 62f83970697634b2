"""Coders: elements travel between steps as MessagePack.

The structs are encoded as arrays, without field names, because a local runner holds every element
in memory.
"""

from __future__ import annotations

import functools
from typing import Any

import msgspec
from apache_beam import coders

from beam_mat.core.chunk import Chunk, Shard
from beam_mat.core.contract import unit as check
from beam_mat.core.results import ChunkFact, MixJob, PathFact, Source, Unit, Wanted, Written

STRUCTS: tuple[type[msgspec.Struct], ...] = (
    *(Shard, Chunk, Source, PathFact, Wanted, Written, ChunkFact, Unit, MixJob),
    *(check.DatasetFile, check.Unit, check.ImageUse, check.LengthFact),
)

_decoder = functools.cache(msgspec.msgpack.Decoder)


class StructCoder(coders.Coder):
    """Encodes one struct type."""

    def __init__(self, kind: type[msgspec.Struct]) -> None:
        self.kind = kind

    def encode(self, value: msgspec.Struct) -> bytes:
        return msgspec.msgpack.encode(value)

    def decode(self, encoded: bytes) -> Any:
        return _decoder(self.kind).decode(encoded)

    def is_deterministic(self) -> bool:
        return True  # without sets and mappings, equal structs give equal bytes

    def to_type_hint(self) -> type[msgspec.Struct]:
        return self.kind

    @classmethod
    def from_type_hint(cls, typehint: Any, registry: Any) -> StructCoder:  # noqa: ARG003
        return cls(typehint)


def register(more: tuple[type[msgspec.Struct], ...] = ()) -> None:
    """Registers `StructCoder` with Beam for the types in `STRUCTS` and `more`."""
    for kind in (*STRUCTS, *more):
        coders.registry.register_coder(kind, StructCoder)
