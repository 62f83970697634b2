"""Boxes in the text of real records whose images are resized."""

from __future__ import annotations

import json
import re
import zipfile
from pathlib import Path

from tests import outputs as dataset
from tests.build import opened
from tests.command import convert_words, run

PRINTED = re.compile(r"\[-?[\d.]+, -?[\d.]+, [\d.]+, [\d.]+\]")
"""A box, as the tools of MAT print it."""


def test_records_with_boxes_and_resized_images_are_warned_of(
    mat_sample: Path, tmp_path: Path
) -> None:
    shard, archive = mat_sample / "mat_train.json", mat_sample / "files.zip"
    with zipfile.ZipFile(archive) as file:
        sizes = {name: opened(file.read(name)).size for name in file.namelist()}
    large = {name for name, (width, height) in sizes.items() if width * height > 262_144}
    affected = set()
    for one in json.loads(shard.read_bytes()):
        observations = [turn["content"] for turn in one["conversations"] if turn["role"] == "user"]
        names = {name.replace("data/open_llava_next/", "tongagent/") for name in large}
        uses = any(name.split("tongagent/")[-1] in one["image"] for name in names)
        if uses and any(PRINTED.search(text) for text in observations):
            affected.add(one["id"])
    assert affected
    output = tmp_path / "out"
    ran = run(*convert_words(shard, archive, output))
    assert dataset.manifest(output)["counts"]["records_with_pixel_boxes"] == len(affected)
    assert ran.out.count("Warning") == 1
    commands = re.findall(r"beam-mat show (\S+) --id=(\S+)", ran.out)
    assert set(commands) == {(str(output), id) for id in affected}
    for id in affected:
        assert "[" in run("show", output, f"--id={id}").out
    for id in affected:
        assert f"--id={id}" in (output / "report.html").read_text()

    kept = run(*convert_words(shard, archive, tmp_path / "kept"), "--max-pixels", "1000000")
    assert "Warning" not in kept.out
