"""Where a watch finds Prism."""

from __future__ import annotations

from pathlib import Path

import apache_beam
import pytest
from apache_beam.runners.portability.prism_runner import PrismJobServer

from beam_mat.core.errors import ConfigError
from beam_mat.core.job import PRISM
from beam_mat.runners import find_prism
from beam_mat.runners.choose import given
from beam_mat.runners.find_prism import placed

CACHED = f"apache_beam-v{apache_beam.__version__}-prism-linux-amd64"


def program(path: Path, says: str = "-job_port int") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho '{says}' >&2\n")
    path.chmod(0o755)
    return path


@pytest.fixture(autouse=True)
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without Prism."""
    monkeypatch.delenv("PRISM", raising=False)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(find_prism, "CHECKOUT", tmp_path / "checkout")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path


def test_the_first_place_that_has_it_is_used(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cached = bare / ".apache_beam/cache/prism/bin" / CACHED
    for path, where in (
        (cached, "from Beam's cache"),
        (bare / "checkout/.cache/prism/prism", "built by scripts/prism"),
        (bare / "bin/prism", "from PATH"),
        (bare / "mine", "from the variable PRISM"),
    ):
        program(path)
        if path.name == "mine":
            monkeypatch.setenv("PRISM", str(path))
        beam, used = placed(["--job_name=x"])
        assert given(beam, "runner") == PRISM
        assert given(beam, "prism_location") == str(path)
        assert given(beam, "job_name") == "x"
        assert used == f"Using Prism at {path} ({where})"


def test_without_any_beam_downloads_it() -> None:
    beam, used = placed([])
    assert beam == (f"--runner={PRISM}",)
    assert used.startswith("Prism was not found on this machine; Beam downloads it to ")


def test_another_program_of_the_name_is_passed_over(bare: Path) -> None:
    program(bare / "bin/prism", "a photo viewer")
    built = program(bare / "checkout/.cache/prism/prism")
    assert given(placed([])[0], "prism_location") == str(built)


def test_a_variable_that_names_another_program_is_an_error(
    bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(bare / "bin/prism")
    monkeypatch.setenv("PRISM", str(bare / "nowhere"))
    with pytest.raises(ConfigError, match=r"PRISM=.*nowhere: this is not Beam's Prism"):
        placed([])


@pytest.mark.parametrize(
    "beam",
    [
        ("--prism_location=/mine",),
        ("--runner=PrismRunner", "--prism_location=/mine"),
        ("--runner=DataflowRunner",),
        ("--runner=PrismRunner", "--job_endpoint=localhost:1"),
    ],
)
def test_what_the_user_says_wins(bare: Path, beam: tuple[str, ...]) -> None:
    program(bare / "bin/prism")
    assert placed(beam) == (beam, "")


def test_beams_cache_is_where_beam_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert str(find_prism.beams_cache()) == PrismJobServer.BIN_CACHE
