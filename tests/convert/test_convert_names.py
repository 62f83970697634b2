"""Published paths that collide as files: all of them work, each with its own picture."""

from __future__ import annotations

from pathlib import Path

import fsspec
import pytest

from tests import outputs as dataset
from tests.command import convert_words, run
from tests.making import image_record, picture, write_shard, write_zip

PATHS = (
    *("a.png", "a.png/b.png", "a.png/b.png/c.png"),  # a file is the folder of another one
    *("A.png", "a.PNG", "A.png/B.png"),  # they differ only in case
    *("caf\u00e9.png", "cafe\u0301.png"),  # they differ only in Unicode form
    *(f"{'n' * 300}.png", f"{'n' * 300}m.png", f"{'f' * 300}/x.png", f"{'f' * 299}g/x.png"),
    *(f"{'g' * 200}/{'h' * 200}/{'i' * 200}/{'j' * 200}/x.png", "a.jpg", "a"),
)
PICTURES = {path: picture((40, 30), seed, "PNG") for seed, path in enumerate(PATHS)}
SAME = "b.png", "B.png"
"""Two more paths that differ only in case. They have one picture, so one file will do."""


@pytest.mark.parametrize("place", ["disk", "memory"])
def test_published_paths_that_collide_as_files(tmp_path: Path, place: str) -> None:
    members = {**PICTURES, **dict.fromkeys(SAME, picture((40, 30), 99, "PNG"))}
    shard = write_shard(tmp_path / "in" / "m.json", [image_record(path, path) for path in members])
    zipped = write_zip(tmp_path / "in" / "m.zip", members)
    output = tmp_path / "out"
    words = convert_words(shard, zipped, output)
    if place == "disk":
        ran = run(*words)
    else:
        memory, root = fsspec.filesystem("memory"), f"/{tmp_path.name}"
        ran = run(*words[:-1], f"memory:/{root}")
        memory.get(root, str(output), recursive=True)
        memory.rm(root, recursive=True)
    assert ran.code == 0, ran.err
    assert dataset.rejects(output) == []
    assert dataset.images(output) == members
    table = dataset.image_table(output)
    named = {row["id"]: row["images"] for row in dataset.rows(output)}
    assert named == {path: [table[path]["file"]] for path in members}
    held = {row["id"]: row["images"] for row in dataset.parquet_rows(output)}
    assert held == {path: [{"bytes": members[path], "path": named[path][0]}] for path in members}
    # On a file system that ignores case and Unicode form they are different files, too.
    files = [named[path][0].casefold() for path in PICTURES]
    assert len(set(files)) == len(files)
    assert run("verify", output).code == 0
