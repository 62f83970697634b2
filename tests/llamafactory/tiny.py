"""A Qwen2-VL of no size, to run LLaMA-Factory's own steps with. For its environment, as reader.py.

Every part of the real one is there: a byte-level tokenizer (256 bytes and no merges), its image
processor with its published limits, and a random model of two layers.
"""

from __future__ import annotations

import functools
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    Qwen2TokenizerFast,
    Qwen2VLConfig,
    Qwen2VLForConditionalGeneration,
    Qwen2VLImageProcessor,
    Qwen2VLProcessor,
    Qwen2VLVideoProcessor,
)

SPECIAL = "endoftext im_start im_end vision_start vision_end vision_pad image_pad video_pad".split()
MAX_PIXELS = 12845056
MIN_PIXELS = 3136


def tokenizer() -> Any:
    """One token a byte, and Qwen's marks."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    bare = Tokenizer(models.BPE({letter: at for at, letter in enumerate(alphabet)}, []))
    bare.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bare.decoder = decoders.ByteLevel()
    return Qwen2TokenizerFast(
        tokenizer_object=bare,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        additional_special_tokens=[f"<|{name}|>" for name in SPECIAL],
    )


def processor(words: Any, **settings: Any) -> Any:
    """Qwen2-VL's processor, with LLaMA-Factory's settings (image_max_pixels, ...) on it."""
    made = Qwen2VLProcessor(
        image_processor=Qwen2VLImageProcessor(min_pixels=MIN_PIXELS, max_pixels=MAX_PIXELS),
        tokenizer=words,
        video_processor=Qwen2VLVideoProcessor(),
        chat_template="",
    )
    for name, value in settings.items():
        setattr(made, name, value)
    return made


@functools.cache
def model() -> Any:
    """A model that knows nothing, yet matches pictures with their tokens like a real one."""
    words = tokenizer()
    ids = {name: words.convert_tokens_to_ids(f"<|{name}|>") for name in SPECIAL}
    torch.manual_seed(0)
    config = Qwen2VLConfig(
        text_config={
            "vocab_size": len(words),
            "hidden_size": 32,
            "intermediate_size": 32,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "num_key_value_heads": 1,
            "rope_scaling": {"type": "mrope", "mrope_section": [2, 3, 3]},
            "bos_token_id": ids["endoftext"],
            "eos_token_id": ids["im_end"],
            "pad_token_id": ids["endoftext"],
        },
        vision_config={
            "depth": 1,
            "embed_dim": 32,
            "num_heads": 2,
            "mlp_ratio": 1,
            "hidden_size": 32,
        },
        image_token_id=ids["image_pad"],
        video_token_id=ids["video_pad"],
        vision_start_token_id=ids["vision_start"],
        vision_end_token_id=ids["vision_end"],
    )
    return Qwen2VLForConditionalGeneration(config)
