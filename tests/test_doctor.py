"""What the doctor prints, and what it does not."""

from __future__ import annotations

import io
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import apache_beam
import pytest
from rich.console import Console

import beam_mat
from beam_mat.doctor import Finding, State, credentials, examine, runners
from beam_mat.runners import local
from tests.command import ROOT, run, spawn

SECRET = "hush-8d1f2c"


def told() -> tuple[int, str]:
    out = io.StringIO()
    code = examine(Console(file=out, width=300))
    return code, out.getvalue()


def test_a_sound_machine_is_0(capfd: pytest.CaptureFixture[str]) -> None:
    code, text = told()
    assert code == 0, text
    assert text.endswith("Conversions work here\n")
    for row in (
        ("beam-mat", "ok", beam_mat.__version__),
        ("apache-beam", "ok", apache_beam.__version__),
        ("pillow", "ok", metadata.version("pillow")),
        ("in this process", "ok", "ran a pipeline in"),
        ("images", "ok", "decoded, resized and encoded one"),
        ("cores", "ok", ""),
        ("memory", "ok", ""),
        ("disk, this folder", "ok", str(Path.cwd())),
    ):
        lines = [line for line in text.splitlines() if line.startswith(f"│ {row[0]}  ")]
        assert len(lines) == 1, row
        assert all(part in lines[0] for part in row)
    for what in (
        "gcsfs",
        "s3fs",
        "huggingface_hub",
        "Prism",
        "Dataflow",
        "Google",
        "AWS",
        "Hugging",
    ):
        assert f"│ {what} " in text
    assert capfd.readouterr().err == ""


def test_a_package_that_is_missing_or_too_old_is_1(monkeypatch: pytest.MonkeyPatch) -> None:
    installed = metadata.version

    def version(name: str) -> str:
        if name == "pyarrow":
            raise metadata.PackageNotFoundError(name)
        return "9.0" if name == "pillow" else installed(name)

    monkeypatch.setattr(metadata, "version", version)
    monkeypatch.setattr(metadata, "requires", lambda name: ["pillow>=12.1", "pyarrow>=17"])
    code, text = told()
    assert code == 1
    assert "Conversions do not work here: pillow, pyarrow" in text
    assert "9.0, >=12.1 is needed; pip install 'pillow>=12.1'" in text
    assert "not installed; pip install 'pyarrow>=17'" in text


def test_a_runner_that_fails_is_1(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("no loopback")

    monkeypatch.setattr("beam_mat.runners.run.run_graph", fail)
    code, text = told()
    assert code == 1
    assert "RuntimeError: no loopback" in text
    assert "Conversions do not work here: in this process" in text


def test_prism_is_found_where_it_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("PRISM", raising=False)
    monkeypatch.setattr(local, "CHECKOUT", tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    found = {finding.what: finding for finding in runners()}["Prism"]
    assert found.state is State.MISSING
    assert "install Go and run scripts/prism; with internet" in found.cure
    # Another program of this name is none.
    write_program(tmp_path / "bin" / "prism", "echo Lint your API")
    assert {finding.what: finding for finding in runners()}["Prism"].state is State.MISSING
    name = f"apache_beam-v{apache_beam.__version__}-prism-linux-amd64"
    cache = tmp_path / ".apache_beam/cache/prism/bin"
    real = write_program(cache / name, "echo '-job_port int'")
    found = {finding.what: finding for finding in runners()}["Prism"]
    assert found == Finding(
        "Prism",
        State.GOOD,
        f"found (from Beam's cache): --runner PrismRunner --prism_location {real}",
    )


def write_program(path: Path, line: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{line}\n")
    path.chmod(0o755)
    return path


VARIABLES = (
    "GOOGLE_APPLICATION_CREDENTIALS",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_PROFILE",
    "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "HF_TOKEN",
    "HUGGING_FACE_HUB_TOKEN",
    "HF_TOKEN_PATH",
    "HF_HOME",
    "FSSPEC_S3",
)
FILES = (
    ".config/gcloud/application_default_credentials.json",
    ".aws/credentials",
    ".aws/config",
    ".cache/huggingface/token",
)


def write_home(home: Path) -> None:
    for name in FILES:
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(SECRET)


@pytest.mark.slow
def test_no_secret_is_printed_whatever_holds_it(tmp_path: Path) -> None:
    write_home(tmp_path)
    # Values of the very variables, and of those that name files: people put keys there too.
    values = {name: f'{{"key": "{SECRET}-{name}"}}' for name in VARIABLES}
    ran = spawn("doctor", environment={**values, "HOME": str(tmp_path), "COLUMNS": "300"})
    assert SECRET not in ran.out + ran.err
    assert "GOOGLE_APPLICATION_CREDENTIALS names a file that does not exist" in ran.out
    assert "~/.config/gcloud/application_default_credentials.json exists" in ran.out
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "HF_TOKEN"):
        assert f"{name} is set" in ran.out
    assert "FSSPEC_S3 is set" in ran.out


def test_files_of_credentials_are_not_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_home(tmp_path)
    for name in FILES:
        (tmp_path / name).chmod(0)
    monkeypatch.setattr("builtins.open", None)
    found = {finding.what: finding for finding in credentials({}, tmp_path)}
    assert found["Google"].found == f"~/{FILES[0]} exists"
    assert found["AWS"].found == f"~/{FILES[1]} exists; ~/{FILES[2]} exists"
    assert found["Hugging Face"].found == f"~/{FILES[3]} exists"


def test_where_there_are_none_it_says_how_to_get_them(tmp_path: Path) -> None:
    found = {finding.what: finding for finding in credentials({}, tmp_path)}
    assert {finding.state for finding in found.values()} == {State.MISSING}
    assert all(finding.found == "no credentials found" for finding in found.values())
    assert "gcloud auth" in found["Google"].cure


WATCHED = """
import sys

def hold(event, arguments):
    if event == "socket.connect" and isinstance(arguments[1], tuple):
        if arguments[1][0] not in ("127.0.0.1", "::1", "localhost"):
            sys.stderr.write(f"ASKED {arguments[1]}\\n")
    if event in ("socket.getaddrinfo", "socket.gethostbyname"):
        if arguments[0] not in ("127.0.0.1", "::1", "localhost", None, ""):
            sys.stderr.write(f"ASKED {arguments[0]}\\n")

sys.addaudithook(hold)
from beam_mat.cli import main
raise SystemExit(main(["doctor"]))
"""


@pytest.mark.slow
def test_nothing_off_this_machine_is_asked() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", WATCHED], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert "ASKED" not in ran.stderr


def test_it_takes_no_words() -> None:
    ran = run("doctor", "please")
    assert ran.code == 2
    assert "please: unexpected argument" in ran.err
