"""Notes the checksums of a checkpoint's weights, which have none of their own.

After a crash of a machine, a file may have its full size and zeros inside. Files of torch.save have
checksums; those of safetensors do not.
"""

from __future__ import annotations

import contextlib
import json
import threading
import zlib
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from mat_trainer.core.checkpoint import CHECKSUMS

_BLOCK = 1 << 22


class NoteChecksums(TrainerCallback):
    """Reads each new checkpoint's weights once more, beside training, and writes `CHECKSUMS`."""

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        """Called after a checkpoint is written. The rank that writes weights notes them."""
        if state.is_world_process_zero:
            self._wait()
            folder = Path(args.output_dir, f"checkpoint-{state.global_step}")
            self._thread = threading.Thread(target=note, args=(folder,), name="checksums")
            self._thread.start()

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        """Called after the last step."""
        self._wait()

    def _wait(self) -> None:
        if self._thread is not None:
            self._thread.join()
            self._thread = None


def note(folder: Path) -> None:
    """Writes the checksums of the weights in a folder."""
    # The folder may be rotated away meanwhile, or the disk be full: the checkpoint stays valid.
    with contextlib.suppress(OSError):
        found = {file.name: _crc32(file) for file in sorted(folder.glob("*.safetensors"))}
        partial = folder / f".{CHECKSUMS}.partial"
        partial.write_text(json.dumps(found))
        partial.rename(folder / CHECKSUMS)


def _crc32(file: Path) -> int:
    value = 0
    with file.open("rb") as source:
        while block := source.read(_BLOCK):
            value = zlib.crc32(block, value)
    return value
