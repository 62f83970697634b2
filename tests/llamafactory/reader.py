"""Loads datasets with LLaMA-Factory's own code, inside its own environment.

A server on standard input and output: a line of JSON asks for one load, a line says what arrived.
With "step" it goes on as a training run does: to the tokens of each row ("tokenise"), and through
a model of no size ("train"), in the request's stage.
"""

from __future__ import annotations

import contextlib
import copy
import hashlib
import io
import json
import math
import os
import random
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import tiny
from llamafactory.data import (
    KTODataCollatorWithPadding,
    PairwiseDataCollatorWithPadding,
    SFTDataCollatorWith4DAttentionMask,
    get_template_and_fix_tokenizer,
)
from llamafactory.data.loader import _load_single_dataset, get_dataset
from llamafactory.data.parser import get_dataset_list
from llamafactory.extras.constants import IGNORE_INDEX
from llamafactory.hparams import get_train_args
from llamafactory.train.dpo.trainer import CustomDPOTrainer
from llamafactory.train.kto.trainer import CustomKTOTrainer
from llamafactory.train.sft.trainer import CustomSeq2SeqTrainer
from PIL import Image


def load(request: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows of one dataset, each as a hash of its text and facts about its images."""
    folder = request["folder"]
    model_args, data_args, training_args, _ = arguments(request)
    (attributes,) = get_dataset_list(data_args.dataset, data_args.dataset_dir)
    with listing_in(request["order"]):
        dataset = _load_single_dataset(attributes, model_args, data_args, training_args)
    return [facts(row, Path(folder)) for row in dataset]


def arguments(request: dict[str, Any]) -> tuple[Any, Any, Any, Any]:
    """LLaMA-Factory's arguments for the model, the data, the training and the finetuning."""
    model_args, data_args, training_args, finetuning_args, _ = get_train_args(
        {
            "stage": request.get("stage", "sft"),
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
            "bf16": False,
            "max_steps": 1,
        }
    )
    return model_args, data_args, training_args, finetuning_args


def train(request: dict[str, Any]) -> list[list[int]]:
    """Tokenises a dataset, and with the step "train" trains on every row once.

    Returns:
        The number of tokens and of images of each row that is left. Of two answers, the tokens are
        those of the first.
    """
    model_args, data_args, training_args, finetuning_args = arguments(request)
    words = tiny.tokenizer()
    pictures = tiny.processor(
        words,
        image_max_pixels=request.get("image_max_pixels", model_args.image_max_pixels),
        image_min_pixels=model_args.image_min_pixels,
    )
    tools = {"tokenizer": words, "processor": pictures}
    template = get_template_and_fix_tokenizer(words, data_args)
    stage = STAGES[request.get("stage", "sft")]
    with listing_in(request["order"]):
        found = get_dataset(template, model_args, data_args, training_args, stage=stage, **tools)
    rows = found["train_dataset"]
    if request["step"] == "train":
        step(stage, rows, template, (training_args, finetuning_args), tools)
    tokens = "chosen_input_ids" if stage == "rm" else "input_ids"
    return [[len(row[tokens]), len(row["images"] or [])] for row in rows]


STAGES = {"sft": "sft", "dpo": "rm", "kto": "kto"}
"""What LLaMA-Factory's workflows ask their loader for."""


def step(
    stage: str, rows: Any, template: Any, settings: tuple[Any, Any], tools: dict[str, Any]
) -> None:
    """Makes one step of LLaMA-Factory's trainer for this stage, on all rows."""
    training, finetuning = settings
    training.per_device_train_batch_size = len(rows)
    training.remove_unused_columns = False
    model = copy.deepcopy(tiny.model())
    collators = {
        "sft": SFTDataCollatorWith4DAttentionMask,
        "rm": PairwiseDataCollatorWithPadding,
        "kto": KTODataCollatorWithPadding,
    }
    trainers = {"sft": CustomSeq2SeqTrainer, "rm": CustomDPOTrainer, "kto": CustomKTOTrainer}
    reference = {} if stage == "sft" else {"ref_model": copy.deepcopy(model)}
    more: dict[str, Any] = {"gen_kwargs": {}} if stage == "sft" else reference
    trainer = trainers[stage](
        model=model,
        args=training,
        finetuning_args=finetuning,
        data_collator=collators[stage](
            template=template, model=model, label_pad_token_id=IGNORE_INDEX, **tools
        ),
        train_dataset=rows,
        **more,
        **tools,
    )
    loss = trainer.train().training_loss
    if not math.isfinite(loss):
        raise ValueError(f"the loss is {loss}")


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
    text = json.dumps([turns, row["_system"], row["_tools"]])
    return {
        "text": hashlib.sha256(text.encode()).hexdigest(),
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
