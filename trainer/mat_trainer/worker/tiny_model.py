"""Makes a tiny random Qwen2-VL, with all parts of a real one and about 0.4 million parameters.

    python -m mat_trainer.worker.tiny_model DIR [--seed 0]

LLaMA-Factory loads, trains and saves it like a large model, within seconds on a CPU and without a
download.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from importlib import resources
from pathlib import Path

from mat_trainer.worker.uncollected import uncollected


def _data(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


# In the order of Qwen2-VL, which sets their ids.
SPECIAL_TOKENS = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|object_ref_start|>",
    "<|object_ref_end|>",
    "<|box_start|>",
    "<|box_end|>",
    "<|quad_start|>",
    "<|quad_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|vision_pad|>",
    "<|image_pad|>",
    "<|video_pad|>",
)
VOCABULARY = 1024
# Limits of width times height of an image, as in Qwen2-VL's published settings.
MIN_PIXELS = 56 * 56
MAX_PIXELS = 28 * 28 * 16384

# Its tokens are learnt from these. With bytes only, a trajectory would have three times the tokens.
WORDS = _data("tiny_model_words.txt").split()

CHAT_TEMPLATE = _data("tiny_model_chat.jinja")


def main() -> int:
    """Reads the command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m mat_trainer.worker.tiny_model")
    parser.add_argument(
        "folder", metavar="DIR", type=Path, help="the folder to make, unless it exists"
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="seed of the random weights; default: %(default)s"
    )
    typed = parser.parse_args()
    try:
        with uncollected():
            make(typed.folder, typed.seed)
    except FileExistsError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


def make(folder: Path, seed: int = 0) -> None:
    """Makes the model in `folder`, which appears whole; an existing one stays as it is.

    Raises:
        FileExistsError: `folder` has other files.
    """
    if _is_model(folder):
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        _write_processor(partial)
        _write_weights(partial, seed)
        _open_to_all(partial)
        os.rename(partial, folder)
    except OSError:
        if not _is_model(folder):  # another process may have made it
            raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _is_model(folder: Path) -> bool:
    if (folder / "config.json").is_file():
        return True
    if folder.is_dir() and not any(folder.iterdir()):
        return False  # a rename replaces an empty folder
    if folder.exists():
        raise FileExistsError(
            f"{folder} exists and is no model: choose another folder, or remove it"
        )
    return False


def _open_to_all(folder: Path) -> None:
    # Temporary folders, and weights too, are readable only for their owner.
    folder.chmod(0o755)
    for file in folder.iterdir():
        file.chmod(0o644)


def _write_processor(folder: Path) -> None:
    from transformers import (
        Qwen2Tokenizer,
        Qwen2TokenizerFast,
        Qwen2VLImageProcessor,
        Qwen2VLProcessor,
        Qwen2VLVideoProcessor,
    )

    _write_vocabulary(folder)
    slow = Qwen2Tokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"))
    slow.add_special_tokens({"additional_special_tokens": list(SPECIAL_TOKENS[1:])})
    slow.save_pretrained(folder)
    tokenizer = Qwen2TokenizerFast.from_pretrained(
        folder, eos_token="<|im_end|>", pad_token="<|endoftext|>", model_max_length=32768
    )
    processor = Qwen2VLProcessor(
        image_processor=Qwen2VLImageProcessor(min_pixels=MIN_PIXELS, max_pixels=MAX_PIXELS),
        tokenizer=tokenizer,
        video_processor=Qwen2VLVideoProcessor(),
        chat_template=CHAT_TEMPLATE,
    )
    processor.save_pretrained(folder)


def _write_vocabulary(folder: Path) -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY - len(SPECIAL_TOKENS),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    # Each word at the beginning of a text and after another, the frequent ones more often.
    lines = [
        text
        for place, word in enumerate(WORDS)
        for text in [word, f" {word}"] * (400 // (place + 9))
    ]
    tokenizer.train_from_iterator([*lines, *WORDS, *(f" {word}" for word in WORDS)], trainer)
    tokenizer.model.save(str(folder))


def _write_weights(folder: Path, seed: int) -> None:
    import torch
    from transformers import AutoTokenizer, Qwen2VLConfig, Qwen2VLForConditionalGeneration

    tokenizer = AutoTokenizer.from_pretrained(folder)
    hidden = 64
    text = {
        "vocab_size": VOCABULARY,
        "hidden_size": hidden,
        "intermediate_size": 2 * hidden,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 32768,
        "rope_scaling": {"type": "mrope", "mrope_section": [2, 3, 3]},
        "bos_token_id": tokenizer.convert_tokens_to_ids("<|endoftext|>"),
        "eos_token_id": tokenizer.convert_tokens_to_ids("<|im_end|>"),
        "pad_token_id": tokenizer.convert_tokens_to_ids("<|endoftext|>"),
    }
    vision = {"depth": 2, "embed_dim": 64, "num_heads": 4, "mlp_ratio": 2, "hidden_size": hidden}
    config = Qwen2VLConfig(
        text_config=text,
        vision_config=vision,
        **{
            f"{name}_token_id": tokenizer.convert_tokens_to_ids(f"<|{name}{end}|>")
            for name, end in (
                ("image", "_pad"),
                ("video", "_pad"),
                ("vision_start", ""),
                ("vision_end", ""),
            )
        },
    )
    torch.manual_seed(seed)
    Qwen2VLForConditionalGeneration(config).save_pretrained(folder)


if __name__ == "__main__":
    sys.exit(main())
