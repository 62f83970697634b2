"""Encodes rows as LLaMA-Factory does for training, without cutting them."""

from __future__ import annotations

from typing import Any

from llamafactory.data.converter import get_dataset_converter
from llamafactory.data.parser import get_dataset_list
from llamafactory.data.processor import SupervisedDatasetProcessor
from llamafactory.data.template import get_template_and_fix_tokenizer
from llamafactory.hparams import DataArguments, ModelArguments
from llamafactory.model import load_tokenizer
from transformers import HfArgumentParser

from mat_trainer.core.lengths import Spec
from mat_trainer.worker.grids import spare_pixels

NEVER = 1 << 40
"""A `cutoff_len` that no row reaches."""


class DroppedRow(Exception):
    """LLaMA-Factory would leave the row out with only a warning."""


class Encoder:
    """The model's own tokenizer and processor, with LLaMA-Factory's own template.

    Args:
        spec: The settings and the dataset.
    """

    def __init__(self, spec: Spec) -> None:
        settings = {
            **spec.settings,
            "dataset": ",".join(spec.entries),
            "dataset_dir": spec.dataset_dir,
            "media_dir": spec.media_dir,
            "cutoff_len": NEVER,
        }
        model, data = HfArgumentParser((ModelArguments, DataArguments)).parse_dict(settings)
        loaded = load_tokenizer(model)
        template = get_template_and_fix_tokenizer(loaded["tokenizer"], data)
        spare_pixels(template.mm_plugin)
        self._processor = SupervisedDatasetProcessor(template=template, data_args=data, **loaded)
        attributes = get_dataset_list(list(spec.entries), spec.dataset_dir)
        self._converters = {
            name: get_dataset_converter(attribute.formatting, attribute, data)
            for name, attribute in zip(spec.entries, attributes, strict=True)
        }

    def tokens(self, entry: str, row: dict[str, Any]) -> int:
        """How many token ids a row of an entry has.

        Raises:
            DroppedRow: LLaMA-Factory would leave it out.
            Exception: Any error that LLaMA-Factory's code raises for the row, as training would.
        """
        aligned = self._converters[entry](row)
        encoded = self._processor.preprocess_dataset({key: [aligned[key]] for key in aligned})
        if not encoded["input_ids"]:
            raise DroppedRow("LLaMA-Factory leaves it out: its turns do not alternate")
        return len(encoded["input_ids"][0])
