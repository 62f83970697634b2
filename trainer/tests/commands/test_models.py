"""Models and adapters that cannot be loaded, by their files or by the hub's answer."""

from __future__ import annotations

import json
import shutil
import ssl
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from mat_trainer.commands import models
from tests.launch.test_checkpoints import safetensors

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"
NAME = "team/model"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    folder.joinpath("config.json").write_text("{}")
    folder.joinpath("model.safetensors").write_bytes(safetensors([64]))
    folder.joinpath("tokenizer.json").write_text("{}")
    return folder


def fault(model: Path | str, **more: object) -> str:
    (found,) = models.faults({"model_name_or_path": str(model), **more})
    return found


def test_a_whole_one_has_none(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert models.faults({"model_name_or_path": str(model)}) == []
    monkeypatch.chdir(model.parent)
    assert models.faults({"model_name_or_path": "model"}) == []


@pytest.mark.parametrize("names", [["model.safetensors"], ["model.safetensors", "tokenizer.json"]])
def test_pointers_of_git_lfs(model: Path, names: list[str]) -> None:
    for name in names:
        model.joinpath(name).write_bytes(POINTER)
    said = fault(model)
    assert ", ".join(names) in said
    assert "run git lfs pull there" in said


def test_no_weights(model: Path) -> None:
    model.joinpath("model.safetensors").unlink()
    assert "no weights in this folder" in fault(model)
    assert models.faults({"model_name_or_path": str(model), "train_from_scratch": True}) == []


def test_weights_that_break_off_or_are_missing(model: Path) -> None:
    model.joinpath("model.safetensors").write_bytes(safetensors([64])[:-1])
    assert "instead of" in fault(model)
    model.joinpath("model.safetensors").unlink()
    index = {"weight_map": {"w": "model-00001-of-00001.safetensors"}}
    model.joinpath("model.safetensors.index.json").write_text(json.dumps(index))
    assert "has no model-00001-of-00001.safetensors, which its index names" in fault(model)


def test_no_folder_and_no_model(model: Path) -> None:
    assert "there is no such folder" in fault(model / "nowhere")
    model.joinpath("config.json").unlink()
    assert "no config.json in this folder" in fault(model)


def test_an_adapter_that_is_none(model: Path, tmp_path: Path) -> None:
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    assert "no adapter_config.json" in fault(model, adapter_name_or_path=str(adapter))
    adapter.joinpath("adapter_config.json").write_text("{}")
    assert "no weights in this folder" in fault(model, adapter_name_or_path=str(adapter))
    adapter.joinpath("adapter_model.safetensors").write_bytes(safetensors([8]))
    settings = {"model_name_or_path": str(model), "adapter_name_or_path": f"{adapter},{adapter}"}
    assert models.faults(settings) == []


class _Hub(BaseHTTPRequestHandler):
    asked: ClassVar[list[tuple[str, str | None]]]
    code = 200

    def do_HEAD(self) -> None:
        self.asked.append((self.path, self.headers.get("Authorization")))
        self.send_response(self.code)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[type[_Hub]]:
    """A model hub on this machine, and an empty cache."""

    class Hub(_Hub):
        asked: ClassVar[list[tuple[str, str | None]]] = []

    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "huggingface"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    monkeypatch.delenv("HF_TOKEN", raising=False)
    yield Hub
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_hub_that_has_the_model(hub: type[_Hub], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "secret")
    assert models.faults({"model_name_or_path": NAME}) == []
    assert hub.asked == [("/team/model/resolve/main/config.json", "Bearer secret")]


@pytest.mark.parametrize("code", [401, 403, 404])
def test_a_hub_that_does_not_give_it(hub: type[_Hub], code: int) -> None:
    hub.code = code
    said = fault(NAME)
    assert f"answers {code} " in said
    assert "set HF_TOKEN" in said


def test_a_hub_that_has_trouble_is_asked_again_by_the_libraries(hub: type[_Hub]) -> None:
    hub.code = 503
    assert models.faults({"model_name_or_path": NAME}) == []


@pytest.mark.usefixtures("hub")
def test_a_hub_that_cannot_be_reached(monkeypatch: pytest.MonkeyPatch, free_port: int) -> None:
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{free_port}")
    said = fault(NAME)
    for words in (NAME, f"127.0.0.1:{free_port} cannot be reached", "refused", "HF_HUB_OFFLINE=1"):
        assert words in said
    assert "HF_ENDPOINT" in said


@pytest.mark.usefixtures("hub")
def test_certificates_are_left_to_the_libraries(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("makes a certificate with openssl")
    names = ["-keyout", str(tmp_path / "key"), "-out", str(tmp_path / "certificate")]
    made = ["openssl", "req", "-x509", "-nodes", "-newkey", "rsa:2048", "-subj", "/CN=localhost"]
    subprocess.run([*made, *names], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "certificate", tmp_path / "key")
    with ThreadingHTTPServer(("127.0.0.1", 0), _Hub) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        monkeypatch.setenv("HF_ENDPOINT", f"https://localhost:{server.server_port}")
        assert models.faults({"model_name_or_path": NAME}) == []
        server.shutdown()
        thread.join()


def test_a_cache_that_has_it_is_enough(
    hub: type[_Hub], model: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert "HF_HUB_OFFLINE is set" in fault(NAME)
    cached = tmp_path / "huggingface" / "hub" / "models--team--model"
    shutil.copytree(model, cached / "snapshots" / "c0ffee")
    cached.joinpath("refs").mkdir()
    cached.joinpath("refs", "main").write_text("c0ffee")
    assert models.faults({"model_name_or_path": NAME}) == []
    # Its tokenizer alone is not the model.
    cached.joinpath("snapshots", "c0ffee", "model.safetensors").unlink()
    assert "HF_HUB_OFFLINE is set" in fault(NAME)
    assert hub.asked == []
