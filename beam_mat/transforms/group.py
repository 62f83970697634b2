"""Grouping by key in which few packed elements travel, in place of many small ones.

The references of a conversion resemble each other: packed together they are a fraction as long. A
local runner holds a shuffle in memory, at some moments several times over, and adds some hundred
bytes to each element; a service charges for the bytes.
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
"""Of values that wait to be packed together."""

BUCKETS = 2048
"""Into which keys are cast that are too many to be elements themselves."""

_ARRAY = b"\xdd"
"""How MessagePack begins an array whose length follows in four bytes."""

_QUICKLY = 1


class Group(beam.PTransform):
    """Does what GroupByKey does to pairs of a string and a value, in the global window.

    It takes one collection, or several as if they were one.

    Args:
        kind: Type of the values, which msgspec can encode.
    """

    def __init__(self, kind: Any) -> None:
        super().__init__()
        self._kind = kind

    def expand(self, inputs: Any) -> Any:
        return (
            _gathered(_several(inputs), KV[str, bytes])
            | "Group" >> beam.GroupByKey()
            | "Open" >> beam.ParDo(Open(self._kind)).with_output_types(KV[str, List[self._kind]])
        )


class GroupMany(beam.PTransform):
    """Does what `Group` does, for keys of which most have only a few values.

    All values of a bucket of keys lie in memory together, a `BUCKETS`-th of all.
    """

    def __init__(self, kind: Any) -> None:
        super().__init__()
        self._kind = kind

    def expand(self, inputs: Any) -> Any:
        pair = KV[str, self._kind]
        cast = beam.Map(_cast).with_output_types(KV[int, pair])
        casts = [one | f"Cast {at}" >> cast for at, one in enumerate(_several(inputs))]
        opened = Open(tuple[str, self._kind])  # type: ignore[name-defined]
        return (
            _gathered(casts, KV[int, bytes])
            | "Group" >> beam.GroupByKey()
            | "Open" >> beam.ParDo(opened).with_output_types(KV[int, List[pair]])
            | "Sort out" >> beam.FlatMapTuple(_by_key).with_output_types(KV[str, List[self._kind]])
        )


class Gather(beam.DoFn):
    """Yields each key of a bundle with its values, packed as one array or a few."""

    def start_bundle(self) -> None:
        """Begins with nothing."""
        self._encoder = msgspec.msgpack.Encoder()
        self._begin()

    def process(self, pair: tuple[Any, Any]) -> Iterator[tuple[Any, bytes]]:
        """Holds a value back."""
        held = self._held[pair[0]]
        before = len(held)
        self._encoder.encode_into(pair[1], held, -1)
        self._counts[pair[0]] += 1
        self._bytes += len(held) - before
        if self._bytes > GATHERED_BYTES:
            yield from self._arrays()
            self._begin()

    def finish_bundle(self) -> Iterator[Any]:
        """Yields the rest."""
        yield from map(GlobalWindows.windowed_value, self._arrays())
        self._begin()

    def _begin(self) -> None:
        self._held = defaultdict[Any, bytearray](bytearray)
        self._counts = defaultdict[Any, int](int)
        self._bytes = 0

    def _arrays(self) -> Iterator[tuple[Any, bytes]]:
        for key, held in self._held.items():
            array = _ARRAY + self._counts[key].to_bytes(4, "big") + held
            yield key, zlib.compress(array, _QUICKLY)


class Open(beam.DoFn):
    """Yields each key with all its values.

    Args:
        kind: Type of the values.
    """

    def __init__(self, kind: Any) -> None:
        self._kind = kind

    def setup(self) -> None:
        """Makes what cannot travel."""
        self._decoder = msgspec.msgpack.Decoder(list[self._kind])  # type: ignore[name-defined]

    def process(self, pair: tuple[Any, Iterable[bytes]]) -> Iterator[tuple[Any, list[Any]]]:
        """Unpacks the arrays of a key."""
        arrays = map(zlib.decompress, pair[1])
        yield pair[0], [value for array in arrays for value in self._decoder.decode(array)]


def _several(inputs: Any) -> Sequence[Any]:
    return [inputs] if isinstance(inputs, beam.PCollection) else inputs


def _gathered(inputs: Sequence[Any], pair: Any) -> Any:
    """All inputs, each gathered where it is made: in between a runner would hold each value."""
    gather = beam.ParDo(Gather()).with_output_types(pair)
    return [one | f"Gather {at}" >> gather for at, one in enumerate(inputs)] | beam.Flatten()


def _cast(pair: tuple[str, Any]) -> tuple[int, tuple[str, Any]]:
    # Not hash(), which is another one in each process.
    digest = hashlib.blake2b(pair[0].encode(), digest_size=4).digest()
    return int.from_bytes(digest, "little") % BUCKETS, pair


def _by_key(_bucket: int, pairs: Iterable[tuple[str, Any]]) -> Iterator[tuple[str, list[Any]]]:
    values = defaultdict[str, list[Any]](list)
    for key, value in pairs:
        values[key].append(value)
    yield from values.items()
