"""Loads datasets with LLaMA-Factory's own code, inside its own environment.

A server on standard input and output: a line of JSON asks for one load, a line says what arrived.
With "step" it goes on as a training run does: to the tokens of each row ("tokenise"), and through
a model of no size ("train").
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

import tiny
from llamafactory.data import SFTDataCollatorWith4DAttentionMask, get_template_and_fix_tokenizer
from llamafactory.data.loader import _load_single_dataset, get_dataset
from llamafactory.data.parser import get_dataset_list
from llamafactory.hparams import get_train_args
from PIL import Image


def load(request: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows of one dataset, each as digest of its text and facts about its images."""
    folder = request["folder"]
    model_args, data_args, training_args = arguments(request)
    (attributes,) = get_dataset_list(data_args.dataset, data_args.dataset_dir)
    with listing_in(request["order"]):
        dataset = _load_single_dataset(attributes, model_args, data_args, training_args)
    return [facts(row, Path(folder)) for row in dataset]


def arguments(request: dict[str, Any]) -> tuple[Any, Any, Any]:
    """LLaMA-Factory's arguments for the model, the data and the training."""
    model_args, data_args, training_args, _, _ = get_train_args(
        {
            "stage": "sft",
            "do_train": True,
            "model_name_or_path": "none",
            "template": "qwen2_vl",
            "dataset": request["name"],
            "dataset_dir": request["folder"],
            "media_dir": request.get("media", request["folder"]),
            "output_dir": request["scratch"],
            "cache_dir": request["scratch"],
            "cutoff_len": request.get("cutoff_len", 100_000),
            "preprocessing_num_workers": request["workers"],
            "report_to": "none",
            "use_cpu": True,
        }
    )
    return model_args, data_args, training_args


def train(request: dict[str, Any]) -> list[int]:
    """Tokenises a dataset, and with the step "train" passes every row through a model.

    Returns:
        The number of tokens of each row that is left.
    """
    model_args, data_args, training_args = arguments(request)
    words = tiny.tokenizer()
    pictures = tiny.processor(
        words,
        image_max_pixels=request.get("image_max_pixels", model_args.image_max_pixels),
        image_min_pixels=model_args.image_min_pixels,
    )
    tools = {"tokenizer": words, "processor": pictures}
    template = get_template_and_fix_tokenizer(words, data_args)
    with listing_in(request["order"]):
        found = get_dataset(template, model_args, data_args, training_args, stage="sft", **tools)
    rows = found["train_dataset"]
    if request["step"] == "train":
        model = tiny.model()
        collate = SFTDataCollatorWith4DAttentionMask(template=template, model=model, **tools)
        for row in rows:
            model(**collate([row]))
    return [len(row["input_ids"]) for row in rows]


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
            request = json.loads(line)
            answer = {"rows": (train if "step" in request else load)(request)}
        except Exception:  # noqa: BLE001 - the test judges it
            answer = {"error": traceback.format_exc()}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
