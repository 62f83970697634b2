"""Encodes rows as LLaMA-Factory does for training, without cutting them."""

from __future__ import annotations

from typing import Any, NamedTuple

from llamafactory.data.converter import get_dataset_converter
from llamafactory.data.parser import get_dataset_list
from llamafactory.data.processor import (
    FeedbackDatasetProcessor,
    PairwiseDatasetProcessor,
    SupervisedDatasetProcessor,
)
from llamafactory.data.template import get_template_and_fix_tokenizer
from llamafactory.extras.constants import IGNORE_INDEX
from llamafactory.hparams import DataArguments, ModelArguments
from llamafactory.model import load_tokenizer
from transformers import HfArgumentParser

from mat_trainer.core.lengths import Spec
from mat_trainer.worker.grids import spare_pixels

NEVER = 1 << 40
"""A `cutoff_len` that no row reaches."""


class Length(NamedTuple):
    """How many token ids a row has.

    Attributes:
        tokens: All; of a pair of answers, with the longer one.
        answer: Those of the answer, for rows with a label; 0 for others.
    """

    tokens: int
    answer: int = 0


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
        attributes = get_dataset_list(list(spec.entries), spec.dataset_dir)
        processors = {
            kind: kind(template=template, data_args=data, **loaded)
            for kind in {_processor_of(attribute) for attribute in attributes}
        }
        self._processors = {
            name: processors[_processor_of(attribute)]
            for name, attribute in zip(spec.entries, attributes, strict=True)
        }
        self._converters = {
            name: get_dataset_converter(attribute.formatting, attribute, data)
            for name, attribute in zip(spec.entries, attributes, strict=True)
        }

    def length(self, entry: str, row: dict[str, Any]) -> Length:
        """How many token ids a row of an entry has.

        Raises:
            DroppedRow: LLaMA-Factory would leave it out.
            Exception: Any error that LLaMA-Factory's code raises for the row, as training would.
        """
        aligned = self._converters[entry](row)
        processor = self._processors[entry]
        encoded = processor.preprocess_dataset({key: [aligned[key]] for key in aligned})
        if not encoded:
            raise DroppedRow(f"LLaMA-Factory leaves it out: {_RULES[type(processor)]}")
        if "chosen_input_ids" in encoded:
            pair = (encoded[f"{one}_input_ids"][0] for one in ("chosen", "rejected"))
            return Length(max(map(len, pair)))
        answer = 0
        if "kto_tags" in encoded:
            answer = sum(label != IGNORE_INDEX for label in encoded["labels"][0])
        return Length(len(encoded["input_ids"][0]), answer)


def _processor_of(attribute: Any) -> Any:
    """What encodes the rows of an entry in the stage that it is for."""
    if attribute.ranking:
        return PairwiseDatasetProcessor
    return FeedbackDatasetProcessor if attribute.kto_tag else SupervisedDatasetProcessor


_RULES = {
    SupervisedDatasetProcessor: "its turns do not alternate",
    PairwiseDatasetProcessor: "its turns do not alternate or do not end with a question, or it has "
    "not two answers",
    FeedbackDatasetProcessor: "its turns do not alternate, or its label is not true or false",
}
