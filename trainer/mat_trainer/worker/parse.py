"""Checks a file of settings with LLaMA-Factory's own parser, as a training process would.

    python -m mat_trainer.worker.parse YAML

Prints one line of JSON: null, or the reason why the parser rejects it.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sys
from pathlib import Path
from typing import Any

from mat_trainer.core import document
from mat_trainer.worker.uncollected import uncollected


def main() -> int:
    """Prints the verdict; returns the exit code."""
    if len(sys.argv) != 2:
        sys.stderr.write("usage: python -m mat_trainer.worker.parse YAML\n")
        return 2
    settings = document.read(Path(sys.argv[1]).read_text(encoding="utf-8"), sys.argv[1])
    with contextlib.redirect_stdout(sys.stderr):  # messages of the parser and its imports
        fault = _fault(settings)
    sys.stdout.write(json.dumps(fault) + "\n")
    return 0


def _fault(settings: dict[str, Any]) -> str | None:
    if settings.get("deepspeed"):
        _be_one_of_one()
    with uncollected():
        from llamafactory.hparams import get_train_args

    try:
        get_train_args(settings)
    # Any error would end training too: ValueError, ImportError, OSError, ...
    except Exception as error:  # noqa: BLE001
        return " ".join(str(error).split()) or type(error).__name__
    except SystemExit as error:
        return f"the parser ends the program with code {error.code}"
    return None


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
