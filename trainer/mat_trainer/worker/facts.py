"""Prints the versions of packages, and how many GPUs PyTorch can use, as JSON.

python -m mat_trainer.worker.facts
"""

from __future__ import annotations

import importlib.metadata
import json
import sys

from mat_trainer.worker.uncollected import uncollected

DISTRIBUTIONS = ("mat-trainer", "llamafactory", "torch", "transformers")


def main() -> int:
    """Prints one line; returns the exit code."""
    with uncollected():
        import torch  # slow, but PyTorch cannot use every GPU that the driver lists

    versions = {name: importlib.metadata.version(name) for name in DISTRIBUTIONS}
    found = {"versions": versions, "gpus": torch.cuda.device_count()}
    sys.stdout.write(json.dumps(found) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
