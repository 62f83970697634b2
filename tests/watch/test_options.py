"""The options of a watch: those of a conversion, less what means nothing here."""

from __future__ import annotations

import re
from pathlib import Path

from beam_mat.cli.watch import REFUSED
from tests.command import run

PLACES = ("--json", "in/*.json", "--images", "in/*.zip", "--output", "out")


def test_what_is_for_a_conversion_is_refused_all_at_once() -> None:
    refused = ("--limit", "5", "--max-rejected", "0.1", "--overwrite", "--duplicates", "drop")
    ran = run("watch", *PLACES, *refused, "--runner", "PrismRunner")
    assert ran.code == 2
    for option in ("--limit", "--max-rejected", "--overwrite"):
        assert f"{option}: is an option of beam-mat convert; remove it" in ran.err
    assert "--duplicates drop: the first record with an id is known only when" in ran.err


def test_the_help_names_nothing_that_is_refused() -> None:
    help = run("watch", "--help").out
    named = set(re.findall(r"^  --([a-z-]+)", help, re.MULTILINE))
    assert named >= {"json", "images", "output", "window", "max-pixels", "exif"}
    assert named.isdisjoint(name.replace("_", "-") for name in REFUSED)
    assert "folders of unzipped" not in help


def test_an_output_inside_of_what_is_watched_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    words = ["--images", f"{folder}/*.zip", "--output", f"{folder}/out"]
    for pattern in ("**", "**/*.json", "*/*.json"):
        ran = run("watch", "--json", f"{folder}/{pattern}", *words)
        assert ran.code == 2
        assert f"overlaps the input {folder}/{pattern}, so the files would mix" in ran.err
