"""The files of a complete checkpoint. Names and bytes only; nothing is read here.

transformers (``Trainer._save_checkpoint``) writes weights, optimizer, scheduler, random states and
``trainer_state.json``, in this order and under their final names, so that a name proves nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import msgspec

STATE = "trainer_state.json"
CHECKSUMS = "weights_crc32.json"
"""CRC-32 of each file of weights, by name. Written by `mat_trainer.worker.checksums`."""
DEEPSPEED_LATEST = "latest"
WEIGHTS = ("model", "pytorch_model", "adapter_model")
"""Stems of the files of weights (``.safetensors``, ``.bin``) and of their index of shards."""

_NAME = re.compile(r"checkpoint-(\d+)")  # transformers.trainer_utils.get_last_checkpoint
_HEADER_BYTES = 100_000_000  # what the safetensors library itself accepts


class State(msgspec.Struct, frozen=True):
    """The fields of ``trainer_state.json`` that are used here."""

    global_step: int
    max_steps: int


class Index(msgspec.Struct, frozen=True):
    """``model.safetensors.index.json``: the shard of each tensor."""

    weight_map: dict[str, str]


class _Tensor(msgspec.Struct, frozen=True):
    data_offsets: tuple[int, int]


def step(name: str) -> int | None:
    """The step that a checkpoint's folder name says; None for other names.

    >>> step("checkpoint-500"), step("incomplete-checkpoint-500")
    (500, None)
    """
    found = _NAME.fullmatch(name)
    return int(found[1]) if found else None


def header_bytes(head: bytes) -> int | None:
    """Size of a safetensors file's header, from the first eight bytes; None if they are invalid."""
    size = int.from_bytes(head, "little")
    return size if len(head) == 8 and 2 <= size <= _HEADER_BYTES else None


def safetensors_fault(header: bytes, file_bytes: int) -> str | None:
    """Why a safetensors file is incomplete; None if it is complete.

    Args:
        header: The JSON header, without the eight bytes before it.
        file_bytes: Size of the whole file.
    """
    try:
        entries = msgspec.json.decode(header, type=dict[str, msgspec.Raw])
        ends = [
            msgspec.json.decode(entry, type=_Tensor).data_offsets[1]
            for name, entry in entries.items()
            if name != "__metadata__"
        ]
    except msgspec.DecodeError as error:
        return f"has a header that cannot be read ({error})"
    promised = 8 + len(header) + max(ends, default=0)
    if promised != file_bytes:
        return f"has {file_bytes:,} bytes instead of the {promised:,} that its header states"
    return None


def missing_ranks(names: Iterable[str], pattern: str) -> list[int]:
    r"""Ranks without a file; the highest rank with a file shows how many ranks there are.

    >>> missing_ranks(["rng_state_0.pth", "rng_state_3.pth"], r"rng_state_(\d+)\.pth")
    [1, 2]
    """
    found = {int(match[1]) for name in names if (match := re.fullmatch(pattern, name))}
    return [rank for rank in range(max(found, default=-1)) if rank not in found]
