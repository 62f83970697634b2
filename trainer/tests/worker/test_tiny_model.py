"""The tiny model is a whole Qwen2-VL, the same for the same seed, and appears once."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mat_trainer.worker.tiny_model import SPECIAL_TOKENS, VOCABULARY, make

pytestmark = [pytest.mark.worker, pytest.mark.usefixtures("warm")]


def digests(folder: Path) -> dict[str, str]:
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in folder.iterdir()}


def test_the_same_seed_makes_the_same_bytes_and_another_other_weights_only(
    tiny_model: Path, tmp_path: Path
) -> None:
    make(tmp_path / "same")
    make(tmp_path / "other", seed=1)
    same, other = digests(tmp_path / "same"), digests(tmp_path / "other")
    assert same == digests(tiny_model)
    assert [name for name in same if other[name] != same[name]] == ["model.safetensors"]


def test_the_parts_fit_together_at_a_size_for_a_cpu(tiny_model: Path) -> None:
    from transformers import AutoModelForImageTextToText, AutoProcessor

    processor = AutoProcessor.from_pretrained(tiny_model, use_fast=True)
    model = AutoModelForImageTextToText.from_pretrained(tiny_model)
    tokenizer = processor.tokenizer
    assert 300_000 < sum(weights.numel() for weights in model.parameters()) < 600_000
    assert len(tokenizer) == VOCABULARY == model.get_input_embeddings().num_embeddings
    ids = tokenizer.convert_tokens_to_ids(list(SPECIAL_TOKENS))
    assert len(set(ids)) == len(SPECIAL_TOKENS)
    assert [tokenizer.encode(token) for token in SPECIAL_TOKENS] == [[number] for number in ids]
    config = model.config
    assert config.image_token_id == processor.image_token_id == ids[12]
    assert config.video_token_id == processor.video_token_id == ids[13]
    assert (tokenizer.eos_token, tokenizer.pad_token) == ("<|im_end|>", "<|endoftext|>")


def test_its_tokenizer_gives_any_text_back(tiny_model: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    text = "Thought: l’été 東京 🗼\n\tprint('a  b')\x00"
    assert tokenizer.decode(tokenizer.encode(text)) == text
    assert len(tokenizer.encode(" the image")) == 2


def test_its_chat_template_writes_what_llama_factory_feeds(tiny_model: Path) -> None:
    from transformers import AutoProcessor

    processor = AutoProcessor.from_pretrained(tiny_model, use_fast=True)
    picture = [{"type": "image"}, {"type": "text", "text": "What?"}]
    messages = [{"role": "user", "content": picture}, {"role": "assistant", "content": "That."}]
    assert processor.apply_chat_template(messages) == (
        "<|im_start|>user\n<|vision_start|><|image_pad|><|vision_end|>What?<|im_end|>\n"
        "<|im_start|>assistant\nThat.<|im_end|>\n"
    )


def test_what_is_there_stays(tiny_model: Path, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text("{}")
    make(tmp_path / "model")
    assert [file.name for file in tmp_path.rglob("*") if file.is_file()] == ["config.json"]

    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "mine.txt").touch()
    command = [sys.executable, "-m", "mat_trainer.worker.tiny_model", str(tmp_path / "notes")]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ended.returncode, "is no model" in ended.stderr) == (2, True)


def test_of_two_at_once_each_finds_a_whole_model(tiny_model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "below" / "model"
    command = [sys.executable, "-m", "mat_trainer.worker.tiny_model", str(folder)]
    both = [subprocess.Popen(command) for _ in range(2)]
    assert [process.wait() for process in both] == [0, 0]
    assert digests(folder) == digests(tiny_model)
    assert os.listdir(folder.parent) == ["model"]  # and no half of one
