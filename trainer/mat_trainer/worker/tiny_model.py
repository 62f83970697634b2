"""Makes a tiny random Qwen2-VL: all of a real one's parts at about 0.4 million parameters.

    python -m mat_trainer.worker.tiny_model DIR [--seed 0]

It knows nothing and learns little, but LLaMA-Factory loads, trains and saves it like its large
relatives, within seconds on a CPU and without a download.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from pathlib import Path

from mat_trainer.worker.uncollected import uncollected

# As Qwen2-VL has them, in its order: ids follow from places.
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
# Width times height of an image, as Qwen2-VL's published settings bound it.
MIN_PIXELS = 56 * 56
MAX_PIXELS = 28 * 28 * 16384

# What its tokens are learnt from. With bytes alone a trajectory would have three times the tokens.
WORDS = """
the of and to in is that for it as was with be by on not he his but at are this have from or had an
they which one you were all her she there would their we him been has when who will no more if out
so up said what its about than into them can only other time new some could these two may first then
do any like my now over such our man me even most made after also did many off before must well back
through years where much your way down should because long each just state those people too how
little good world make very year still see own work men day get here old between both life being
under three never know same last another while us might great since against right came take used
image images picture photo question answer answers task tool tools user assistant system thought
thoughts code python print result results step steps observation output input final final_answer
visualizer image_path question= image_qa search google_search ask objectlocation localization file
files path data return value values string list number numbers name names text page table table's
import from def class for while with open read write as json numpy pandas range format function
call called calling object objects locate located location detect detected identify find found shown
shows showing show based information using provide provided need needs needed want first second next
color colour red green blue white black left right top bottom center background person street sign
building people water food plate number total count average sum calculate compare comparison
percentage difference between describe description detail details contains contain appears there
what where when which how many does your please following given example examples jpg png open
tongagent coco train sam chart chartqa document web webdata landmark wikipedia http https www com
""".split()

CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{% if message['content'] is string %}{{ message['content'] }}"
    "{% else %}{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<|vision_start|><|image_pad|><|vision_end|>"
    "{% elif 'text' in part %}{{ part['text'] }}{% endif %}"
    "{% endfor %}{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def main() -> int:
    """Reads the command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m mat_trainer.worker.tiny_model")
    parser.add_argument("folder", metavar="DIR", type=Path, help="made, unless it is there")
    parser.add_argument("--seed", type=int, default=0, help="of the weights; default: %(default)s")
    typed = parser.parse_args()
    try:
        with uncollected():
            make(typed.folder, typed.seed)
    except FileExistsError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


def make(folder: Path, seed: int = 0) -> None:
    """Makes the model in `folder`, which appears whole; one that is there stays as it is.

    Raises:
        FileExistsError: `folder` holds something else.
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
        if not _is_model(folder):  # it is if another process was faster
            raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _is_model(folder: Path) -> bool:
    if (folder / "config.json").is_file():
        return True
    if folder.is_dir() and not any(folder.iterdir()):
        return False  # a rename replaces an empty folder
    if folder.exists():
        raise FileExistsError(f"{folder} is there and is no model: name another, or remove it")
    return False


def _open_to_all(folder: Path) -> None:
    # Temporary folders, and weights too, are written for their owner alone.
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
    # Each word as it begins a text and as it follows another, the frequent ones more often.
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
