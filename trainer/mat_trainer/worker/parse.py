"""Checks a file of settings with LLaMA-Factory's own code, as far as it comes before the model.

    python -m mat_trainer.worker.parse YAML [--without-model]

Prints one line of JSON: `mat_trainer.core.node.SettingsVerdict`.
"""

from __future__ import annotations

import contextlib
import os
import socket
import sys
from pathlib import Path
from typing import Any

import msgspec

from mat_trainer.core import document
from mat_trainer.core.node import SettingsVerdict
from mat_trainer.worker import before_model
from mat_trainer.worker.uncollected import uncollected

WITHOUT_MODEL = "--without-model"


def main() -> int:
    """Prints the verdict; returns the exit code."""
    if sys.argv[2:] not in ([], [WITHOUT_MODEL]):
        sys.stderr.write(f"usage: python -m mat_trainer.worker.parse YAML [{WITHOUT_MODEL}]\n")
        return 2
    settings = document.read(Path(sys.argv[1]).read_text(encoding="utf-8"), sys.argv[1])
    with contextlib.redirect_stdout(sys.stderr):  # messages of the parser and its imports
        verdict = _verdict(settings, has_model=len(sys.argv) == 2)
    sys.stdout.write(msgspec.json.encode(verdict).decode() + "\n")
    return 0


def _verdict(settings: dict[str, Any], *, has_model: bool) -> SettingsVerdict:
    if settings.get("deepspeed"):
        _be_one_of_one()
    with uncollected():
        from llamafactory.hparams import get_train_args

    try:
        parsed = get_train_args(settings)
    # Any error would end training too: ValueError, ImportError, OSError, ...
    except Exception as error:  # noqa: BLE001
        return SettingsVerdict(rejected=" ".join(str(error).split()) or type(error).__name__)
    except SystemExit as error:
        return SettingsVerdict(rejected=f"the parser ends the program with code {error.code}")
    return SettingsVerdict(faults=tuple(before_model.faults(parsed, settings, has_model=has_model)))


def _be_one_of_one() -> None:
    # With DeepSpeed the parser rejects a process that torchrun has not started.
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    os.environ |= {
        "RANK": "0",
        "LOCAL_RANK": "0",
        "WORLD_SIZE": "1",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
    }


if __name__ == "__main__":
    sys.exit(main())
