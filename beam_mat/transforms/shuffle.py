"""How elements travel between steps: as MessagePack, and grouped by key in packed arrays.

Structs are encoded as arrays, without field names. The references of a conversion are similar to
each other, so they compress well together. A local runner holds the shuffle in memory, sometimes
several copies of it, and adds a few hundred bytes to each element. A service charges for the bytes.
"""

from __future__ import annotations

import functools
import hashlib
import zlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import apache_beam as beam
import msgspec
from apache_beam.coders import Coder, registry
from apache_beam.transforms.window import GlobalWindows
from apache_beam.typehints import KV, List

from beam_mat.core.chunk import Chunk, Shard
from beam_mat.core.contract import unit as check
from beam_mat.core.results import (
    ChunkFact,
    MixJob,
    NearFact,
    PathFact,
    Source,
    Unit,
    Wanted,
    Written,
)

STRUCTS: tuple[type[msgspec.Struct], ...] = (
    *(Shard, Chunk, Source, PathFact, Wanted, NearFact, Written, ChunkFact, Unit, MixJob),
    *(check.DatasetFile, check.Unit, check.ImageUse, check.LengthFact),
)

GATHERED_BYTES = 8 << 20
"""Size of the values that are packed together."""

BUCKETS = 2048
"""Number of buckets for keys that are too many to be elements themselves."""

_ARRAY = b"\xdd"
"""The first byte of a MessagePack array with a length of four bytes."""

_COMPRESSION_LEVEL = 1

_decoder = functools.cache(msgspec.msgpack.Decoder)


class StructCoder(Coder):
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
        registry.register_coder(kind, StructCoder)


class Group(beam.PTransform):
    """Groups pairs of a string and a value like GroupByKey, in the global window.

    The input is one collection, or several, which are flattened. msgspec can encode values of type
    `kind`.
    """

    def __init__(self, kind: Any) -> None:
        super().__init__()
        self._kind = kind

    def expand(self, inputs: Any) -> Any:
        # Each input is packed right after the step that yields it, before a runner stores it.
        gather = beam.ParDo(Gather()).with_output_types(KV[str, bytes])
        gathered = [one | f"Gather {at}" >> gather for at, one in enumerate(_several(inputs))]
        unpack = beam.MapTuple(functools.partial(unpacked, self._kind))
        return (
            gathered
            | beam.Flatten()
            | "Group" >> beam.GroupByKey()
            | "Open" >> unpack.with_output_types(KV[str, List[self._kind]])
        )


class GroupMany(Group):
    """Groups like `Group`, for many keys with few values each.

    All values of a bucket of keys are in memory together: one `BUCKETS`-th of all values.
    """

    def expand(self, inputs: Any) -> Any:
        pair = tuple[str, self._kind]  # type: ignore[name-defined]
        cast = beam.Map(_cast).with_output_types(KV[str, pair])
        casts = tuple(one | f"Cast {at}" >> cast for at, one in enumerate(_several(inputs)))
        sort_out = beam.FlatMapTuple(_by_key).with_output_types(KV[str, List[self._kind]])
        return casts | "Buckets" >> Group(pair) | "Sort out" >> sort_out


class Gather(beam.DoFn):
    """Yields each key of a bundle with its values, packed as one array or a few.

    A value is stored until the bundle ends or `GATHERED_BYTES` are stored.
    """

    def start_bundle(self) -> None:
        self._encoder = msgspec.msgpack.Encoder()
        self._begin()

    def process(self, pair: tuple[Any, Any]) -> Iterator[tuple[Any, bytes]]:
        held = self._held[pair[0]]
        before = len(held)
        self._encoder.encode_into(pair[1], held, -1)
        self._counts[pair[0]] += 1
        self._bytes += len(held) - before
        if self._bytes > GATHERED_BYTES:
            yield from self._arrays()
            self._begin()

    def finish_bundle(self) -> Iterator[Any]:
        yield from map(GlobalWindows.windowed_value, self._arrays())
        self._begin()

    def _begin(self) -> None:
        self._held = defaultdict[Any, bytearray](bytearray)
        self._counts = defaultdict[Any, int](int)
        self._bytes = 0

    def _arrays(self) -> Iterator[tuple[Any, bytes]]:
        for key, held in self._held.items():
            array = _ARRAY + self._counts[key].to_bytes(4, "big") + held
            yield key, zlib.compress(array, _COMPRESSION_LEVEL)


def unpacked(kind: Any, key: str, arrays: Iterable[bytes]) -> tuple[str, list[Any]]:
    """Returns a key with all its values, which are of type `kind`."""
    decode = _decoder(list[kind]).decode
    return key, [value for array in arrays for value in decode(zlib.decompress(array))]


def _several(inputs: Any) -> Sequence[Any]:
    return [inputs] if isinstance(inputs, beam.PCollection) else inputs


def _cast(pair: tuple[str, Any]) -> tuple[str, tuple[str, Any]]:
    # hash() would differ between processes.
    digest = hashlib.blake2b(pair[0].encode(), digest_size=4).digest()
    return str(int.from_bytes(digest, "little") % BUCKETS), pair


def _by_key(_bucket: str, pairs: Iterable[tuple[str, Any]]) -> Iterator[tuple[str, list[Any]]]:
    values = defaultdict[str, list[Any]](list)
    for key, value in pairs:
        values[key].append(value)
    yield from values.items()
