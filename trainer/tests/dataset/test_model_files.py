from __future__ import annotations

from pathlib import Path

import pytest

from mat_trainer.dataset.model_files import fingerprint


@pytest.fixture
def model(tmp_path: Path) -> Path:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "tokenizer.json").write_text("{}")
    (tmp_path / "model" / "model.safetensors").write_bytes(b"1")
    return tmp_path / "model"


def test_a_folder_is_known_by_its_files_but_not_by_its_weights(model: Path) -> None:
    settings = {"model_name_or_path": str(model)}
    before = fingerprint(settings, {})
    (model / "model.safetensors").write_bytes(b"2")
    assert fingerprint(settings, {}) == before
    (model / "tokenizer.json").write_text("[]")
    assert fingerprint(settings, {}) != before


def test_extra_tokens_count(model: Path, tmp_path: Path) -> None:
    extra = tmp_path / "tokens.yaml"
    settings = {"model_name_or_path": str(model), "new_special_tokens_config": str(extra)}
    extra.write_text("<a>: one")
    before = fingerprint(settings, {})
    extra.write_text("<b>: two")
    assert fingerprint(settings, {}) != before


@pytest.mark.parametrize("variable", ["HF_HUB_CACHE", "HF_HOME", "XDG_CACHE_HOME", None])
def test_a_model_of_the_hub_is_known_by_its_commit_once_it_is_here(
    tmp_path: Path, variable: str | None
) -> None:
    below = {"HF_HOME": "hub", "XDG_CACHE_HOME": "huggingface/hub"}.get(variable or "", "")
    settings = {"model_name_or_path": "Qwen/Qwen2-VL-7B-Instruct", "model_revision": "v1"}
    environment = {variable: str(tmp_path)} if variable else {}
    if not variable:
        settings["cache_dir"] = str(tmp_path)
    assert fingerprint(settings, environment) is None
    folder = tmp_path / below / "models--Qwen--Qwen2-VL-7B-Instruct"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "v1").write_text("0a1b")
    assert fingerprint(settings, environment) == "0a1b"
    (folder / "snapshots" / "2c3d").mkdir(parents=True)
    assert fingerprint({**settings, "model_revision": "2c3d"}, environment) == "2c3d"
