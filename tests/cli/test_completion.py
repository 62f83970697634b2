"""Completion as a shell does it: a line is typed, and a tab."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import select
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from beam_mat.cli.completion import SHELLS
from beam_mat.cli.entry import COMMANDS, load
from tests.command import PROGRAM, ROOT, run

PATIENCE = 20.0


def need(shell: str) -> str:
    found = shutil.which(shell)
    if not found:
        pytest.skip(f"there is no {shell} here")
    return found


@pytest.fixture(scope="module")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the script of each shell."""
    folder = tmp_path_factory.mktemp("completion")
    for shell in SHELLS:
        ran = run("completion", shell)
        assert (ran.code, ran.err) == (0, "")
        (folder / shell).write_text(ran.out)
    shutil.copy(folder / "zsh", folder / "_beam-mat")
    return folder


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """A folder to type in."""
    (tmp_path / "mat_train.json").write_text("[]")
    (tmp_path / "my set").mkdir()
    return tmp_path


TYPED = [
    ("beam-mat conv\t", "beam-mat convert "),
    ("beam-mat convert --ou\t", "beam-mat convert --output "),
    ("beam-mat convert --json mat\t", "beam-mat convert --json mat_train.json"),
    ("beam-mat convert --exif ig\t", "beam-mat convert --exif ignore"),
    ("beam-mat convert --runner Pr\t", "beam-mat convert --runner PrismRunner"),
    ("beam-mat show mat\t", "beam-mat show mat_train.json"),
    ("beam-mat show . --rej\t", "beam-mat show . --rejected "),
    ("beam-mat completion z\t", "beam-mat completion zsh"),
]


@pytest.mark.parametrize(("typed", "wanted"), TYPED)
def test_bash(scripts: Path, here: Path, typed: str, wanted: str) -> None:
    words = [need("bash"), "--norc", "--noprofile", "-i"]
    with terminal(words, here) as type_in:
        type_in(f"source {scripts}/bash; PS1='> '; bind 'set bell-style none'\n", "> $")
        assert type_in(typed, re.escape(wanted))


@pytest.mark.parametrize(("typed", "wanted"), TYPED)
def test_zsh(scripts: Path, here: Path, typed: str, wanted: str) -> None:
    with terminal([need("zsh"), "-f", "-i"], here) as type_in:
        begin = f"fpath=({scripts} $fpath); autoload -U compinit; compinit -u -D; unsetopt beep"
        type_in(f"{begin}; echo rea''dy\n", "ready")
        assert type_in(typed, re.escape(wanted))


@pytest.mark.parametrize(("typed", "wanted"), TYPED)
def test_fish(scripts: Path, here: Path, typed: str, wanted: str) -> None:
    asked = shlex.quote(typed.rstrip("\t"))
    said = subprocess.run(
        [need("fish"), "--no-config", "-c", f"source {scripts}/fish; complete -C {asked}"],
        cwd=here,
        env={**os.environ, "HOME": str(here)},
        capture_output=True,
        text=True,
        check=True,
    )
    offered = [line.split("\t")[0] for line in said.stdout.splitlines()]
    assert wanted.rsplit(maxsplit=1)[-1] in offered


@contextlib.contextmanager
def terminal(words: list[str], folder: Path) -> Iterator[Typing]:
    """A shell on a terminal of its own."""
    master, slave = pty.openpty()
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "TERM": "dumb"}
    process = subprocess.Popen(
        words,
        cwd=folder,
        env=environment,
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
    )
    os.close(slave)
    try:
        yield Typing(master)
    finally:
        process.kill()
        process.wait()
        os.close(master)


class Typing:
    """Types into a terminal, and reads until it shows something."""

    def __init__(self, terminal: int) -> None:
        self._terminal = terminal

    def __call__(self, text: str, wanted: str) -> str:
        os.write(self._terminal, text.encode())
        said = ""
        give_up = time.monotonic() + PATIENCE
        while not re.search(wanted, said):
            left = give_up - time.monotonic()
            assert left > 0, f"no {wanted!r} in {said!r}"
            if select.select([self._terminal], [], [], left)[0]:
                said += os.read(self._terminal, 4096).decode(errors="replace")
        return said


def test_every_command_is_completed() -> None:
    told = run("no-such-command").err.split("the commands are ")[1].strip()
    assert set(COMMANDS) == set(told.split(", "))


@pytest.mark.parametrize("name", COMMANDS)
def test_every_help_has_examples_that_its_own_parser_takes(name: str) -> None:
    help = run(name, "--help").out
    assert help.startswith(f"usage: beam-mat {name}")
    examples = re.findall(rf"^  (?:eval \"\$\()?(beam-mat {name}\b[^\n)]*)", help, re.MULTILINE)
    assert examples
    for example in examples:
        words = shlex.split(example, comments=True)
        if ">" in words:
            words = words[: words.index(">")]
        _, faults = load(name).command_line().parse(words[2:])
        assert faults == []


def test_completing_starts_no_python(scripts: Path, here: Path) -> None:
    assert all("python" not in (scripts / shell).read_text().lower() for shell in SHELLS)


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ((), "It needs\n  SHELL: bash, zsh, fish"),
        (("csh",), "SHELL csh: give one of "),
    ],
)
def test_faults(words: tuple[str, ...], why: str) -> None:
    ran = run("completion", *words)
    assert (ran.code, ran.out) == (2, "")
    assert why in ran.err


def test_the_script_reaches_a_pipe_that_is_closed_early() -> None:
    line = f"{shlex.join(PROGRAM)} completion bash | head -1"
    ran = subprocess.run(
        ["bash", "-c", line],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "Traceback" not in ran.stderr
    assert sys.executable not in ran.stdout
