"""LLaMA-Factory's own answers, for a test that starts this as a program of its own.

python reference.py SETTINGS.json ANSWERS.json
"""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

from llamafactory.data import get_dataset, get_template_and_fix_tokenizer
from llamafactory.hparams import DataArguments, ModelArguments
from llamafactory.hparams.model_args import BaseModelArguments, ProcessorArguments
from llamafactory.model import load_tokenizer
from PIL import Image
from transformers import HfArgumentParser, Seq2SeqTrainingArguments

from mat_trainer.worker.grids import spare_pixels

SIZES = [(1, 1), (27, 28), (30, 9000), (9000, 30), (640, 480), (512, 512), (513, 511), (3000, 2000)]
MODES = ["RGB", "L", "P", "RGBA"]


def main(settings: Path, answers: Path) -> None:
    asked = json.loads(settings.read_bytes())
    stage = asked.pop("stage", "sft")
    output = str(answers.with_suffix(""))
    model, data = HfArgumentParser((ModelArguments, DataArguments)).parse_dict(asked)
    training = Seq2SeqTrainingArguments(output_dir=output, use_cpu=True, report_to="none")
    loaded = load_tokenizer(model)
    template = get_template_and_fix_tokenizer(loaded["tokenizer"], data)
    module = get_dataset(template, model, data, training, stage=stage, **loaded)
    pair = ("chosen_input_ids", "rejected_input_ids")
    keys = pair if stage == "rm" else ("input_ids",)
    told = {
        name: [max(len(row[key]) for key in keys) for row in rows] for name, rows in module.items()
    }
    told_sizes = [_texts(template.mm_plugin, loaded["processor"])]
    spare_pixels(template.mm_plugin)
    told_sizes.append(_texts(template.mm_plugin, loaded["processor"]))
    kinds = (DataArguments, ProcessorArguments, BaseModelArguments)
    fields = {kind.__name__: [f.name for f in dataclasses.fields(kind)] for kind in kinds}
    answers.write_text(json.dumps({"lengths": told, "texts": told_sizes, "fields": fields}))


def _texts(plugin: Any, processor: Any) -> list[str]:
    """What becomes of a message with an image of each size and mode."""
    folder = Path(sys.argv[2]).parent
    texts = []
    for number, size in enumerate(SIZES):
        path = folder / f"{number}.png"
        Image.new(MODES[number % len(MODES)], size).save(path)
        message = {"role": "user", "content": "<image>"}
        for image in (str(path), {"bytes": path.read_bytes(), "path": "elsewhere.png"}):
            (processed,) = plugin.process_messages([message], [image], [], [], processor)
            texts.append(processed["content"])
    return texts


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
