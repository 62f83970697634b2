"""Grouping by key that shuffles few packed elements instead of many small ones.

The references of a conversion are similar to each other, so they compress well together. A local
runner holds the shuffle in memory, sometimes several copies of it, and adds a few hundred bytes to
each element. A service charges for the bytes.
"""

from __future__ import annotations

import hashlib
import zlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import apache_beam as beam
import msgspec
from apache_beam.transforms.window import GlobalWindows
from apache_beam.typehints import KV, List

GATHERED_BYTES = 8 << 20
"""Size of the values that are packed together."""

BUCKETS = 2048
"""Number of buckets for keys that are too many to be elements themselves."""

_ARRAY = b"\xdd"
"""The first byte of a MessagePack array with a length of four bytes."""

_COMPRESSION_LEVEL = 1


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
        return (
            gathered
            | beam.Flatten()
            | "Group" >> beam.GroupByKey()
            | "Open" >> beam.ParDo(Open(self._kind)).with_output_types(KV[str, List[self._kind]])
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


class Open(beam.DoFn):
    """Yields each key with all its values, which are of type `kind`."""

    def __init__(self, kind: Any) -> None:
        self._kind = kind

    def setup(self) -> None:
        # A decoder cannot be pickled.
        self._decoder = msgspec.msgpack.Decoder(list[self._kind])  # type: ignore[name-defined]

    def process(self, pair: tuple[Any, Iterable[bytes]]) -> Iterator[tuple[Any, list[Any]]]:
        arrays = map(zlib.decompress, pair[1])
        yield pair[0], [value for array in arrays for value in self._decoder.decode(array)]


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
