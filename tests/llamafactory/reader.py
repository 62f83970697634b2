"""Loads datasets with LLaMA-Factory's own code, inside its own environment.

A server on standard input and output: a line of JSON asks for one load, a line says what arrived.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import random
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

from llamafactory.data.loader import _load_single_dataset
from llamafactory.data.parser import get_dataset_list
from llamafactory.hparams import get_train_args
from PIL import Image


def load(request: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows of one dataset, each as digest of its text and facts about its images."""
    folder = request["folder"]
    model_args, data_args, training_args, _, _ = get_train_args(
        {
            "stage": "sft",
            "do_train": True,
            "model_name_or_path": "none",
            "template": "qwen2_vl",
            "dataset": request["name"],
            "dataset_dir": folder,
            "media_dir": folder,
            "output_dir": request["scratch"],
            "cache_dir": request["scratch"],
            "preprocessing_num_workers": request["workers"],
            "report_to": "none",
            "use_cpu": True,
        }
    )
    (attributes,) = get_dataset_list(data_args.dataset, data_args.dataset_dir)
    with listing_in(request["order"]):
        dataset = _load_single_dataset(attributes, model_args, data_args, training_args)
    return [facts(row, Path(folder)) for row in dataset]


@contextlib.contextmanager
def listing_in(order: str) -> Iterator[None]:
    """Makes os.listdir sort its names, "reversed", or shuffle them by "shuffled SEED"."""
    listdir = os.listdir

    def ordered(path: Any = ".") -> list[Any]:
        names = sorted(listdir(path), reverse=order == "reversed")
        if order.startswith("shuffled"):
            random.Random(order).shuffle(names)
        return names

    with mock.patch("os.listdir", ordered):
        yield


def facts(row: dict[str, Any], folder: Path) -> dict[str, Any]:
    """What a row holds, in few words."""
    turns = [[turn["role"], turn["content"]] for turn in row["_prompt"] + row["_response"]]
    images = [image_facts(image, folder) for image in row["_images"] or []]
    text = json.dumps([turns, row["_system"], [image["path"] for image in images]])
    return {
        "digest": hashlib.sha256(text.encode()).hexdigest(),
        "placeholders": sum(content.count("<image>") for _, content in turns),
        "images": images,
    }


def image_facts(image: Any, folder: Path) -> dict[str, Any]:
    """Path below the folder, size and hash of an image, opened as LLaMA-Factory's plugin does."""
    if isinstance(image, str):
        path, data = Path(image).relative_to(folder).as_posix(), Path(image).read_bytes()
    else:
        path, data = image["path"], image["bytes"]
    with Image.open(io.BytesIO(data)) as opened:
        opened.load()
        size = opened.size
    return {"path": path, "size": size, "sha256": hashlib.sha256(data).hexdigest()}


def main() -> None:
    """Answers on what standard output was; everything that is printed goes to standard error."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        answer: dict[str, Any]
        try:
            answer = {"rows": load(json.loads(line))}
        except Exception:  # noqa: BLE001 - the test judges it
            answer = {"error": traceback.format_exc()}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
