"""Loads the flat folders of a dataset with Hugging Face's ``load_dataset``, as people do.

Prints a JSON object: for each way of each folder, the ids that arrive in each split.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets


def ways(folder: Path) -> dict[str, Callable[[], Any]]:
    """The usual ways to load a folder. A dataset without a split gets the name `train`."""
    load, suffix = datasets.load_dataset, folder.name.partition("_")[0]
    module, pattern = {"jsonl": "json"}.get(suffix, suffix), f"{folder}/*.{suffix}"
    return {
        "data_dir": lambda: load(module, data_dir=str(folder)),
        "the folder's path": lambda: load(str(folder)),
        "the folder's path, then data_dir": lambda: load(str(folder.parent), data_dir=folder.name),
        "a relative path": lambda: load(f"./{folder.name}"),
        "a glob": lambda: load(module, data_files=pattern),
        "a glob of all": lambda: load(module, data_files=f"{folder}/**"),
        "a glob of the split": lambda: load(module, data_files={"train": pattern}),
        "a list": lambda: load(module, data_files=sorted(map(str, folder.iterdir()))),
        "data_dir and a glob": lambda: load(module, data_dir=str(folder), data_files=f"*.{suffix}"),
    }


def main() -> None:
    """Loads each folder that is named after the dataset."""
    datasets.disable_progress_bars()
    output = Path(sys.argv[1])
    os.chdir(output)
    found = {
        f"{name}: {way}": {split: sorted(rows["id"]) for split, rows in load().items()}
        for name in sys.argv[2:]
        for way, load in ways(output / name).items()
    }
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main()
