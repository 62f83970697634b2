"""Sets that consist of many: each source with a root and a schema of its own; images in records."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from pathlib import Path
from typing import Any

from tests import outputs as dataset
from tests.command import run
from tests.making import picture, write_zip


def question(image: str) -> list[dict[str, str]]:
    return [
        {"from": "human", "value": f"<image>What is in {image}?"},
        {"from": "gpt", "value": "A cat."},
    ]


def write(path: Path, records: list[dict[str, Any]]) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(records))
    return path


def sets(folder: Path) -> None:
    """Two shards that mean different pictures by the same path."""
    record = {"image": "1.jpg", "conversations": question("1.jpg")}
    write(folder / "gui" / "seeclick.json", [record])
    write(folder / "coco.json", [{"id": "c", **record}])
    write_zip(folder / "seeclick.zip", {"1.jpg": picture((30, 30), 1)})
    write_zip(folder / "coco.zip", {"coco/1.jpg": picture((40, 40), 2)})


def sizes(output: Path) -> dict[str, tuple[int, int]]:
    table = dataset.image_table(output)
    return {path: (row["source_width"], row["source_height"]) for path, row in table.items()}


def test_each_source_has_its_own_root(tmp_path: Path) -> None:
    sets(tmp_path)
    output = tmp_path / "out"
    ran = run(
        *("convert", "--output", output),
        *("--json", f"{tmp_path}/gui/*.json:prefix=gui/", f"{tmp_path}/coco.json:prefix=coco/"),
        *("--images", f"gui={tmp_path}/seeclick.zip", tmp_path / "coco.zip"),
    )
    assert ran.code == 0, ran.err + ran.out
    assert sizes(output) == {"gui/1.jpg": (30, 30), "coco/1.jpg": (40, 40)}
    (with_id,) = dataset.lines(output / "jsonl")
    (without,) = dataset.lines(output / "jsonl_noid")
    assert with_id["images"][0].startswith("images/coco/1.")
    assert without["images"][0].startswith("images/gui/1.")
    inputs = dataset.manifest(output)["inputs"]
    assert {Path(one["uri"]).name: one.get("prefix") for one in inputs["json"]} == {
        "seeclick.json": "gui/",
        "coco.json": "coco/",
    }
    assert [one.get("prefix") for one in inputs["images"]] == ["gui/", None]


def test_a_file_of_sources_says_the_same(tmp_path: Path) -> None:
    sets(tmp_path)
    (tmp_path / "sources.yaml").write_text(
        """
        json:
          - {uri: "gui/*.json", prefix: gui/, schema: aguvis}
          - coco.json:prefix=coco/
        images: [gui=seeclick.zip, coco.zip]
        """
    )
    output = tmp_path / "out"
    ran = run("convert", "--sources", tmp_path / "sources.yaml", "--output", output)
    assert ran.code == 0, ran.err + ran.out
    assert sizes(output) == {"gui/1.jpg": (30, 30), "coco/1.jpg": (40, 40)}
    shards = dataset.manifest(output)["inputs"]["json"]
    assert {Path(one["uri"]).name: (one["schema"], one["why"]) for one in shards} == {
        "seeclick.json": ("aguvis", ""),
        "coco.json": ("llava", "record 0: conversations have from and value, and it has images"),
    }


def test_a_file_cannot_have_two_roots(tmp_path: Path) -> None:
    sets(tmp_path)
    ran = run(
        *("convert", "--output", tmp_path / "out", "--images", tmp_path / "coco.zip"),
        *("--json", f"a={tmp_path}/coco.json", f"{tmp_path}/coco.json"),
    )
    assert ran.code == 2
    assert f"--json {tmp_path}/coco.json: is named twice, with different prefixes" in ran.err


def test_images_inside_records_become_files(tmp_path: Path) -> None:
    data = [picture((40, 40), seed) for seed in range(2)]
    uris = [f"data:image/jpeg;base64,{base64.b64encode(one).decode()}" for one in data]

    def record(*used: int) -> dict[str, Any]:
        parts = [{"type": "image_url", "image_url": {"url": uris[one]}} for one in used]
        asked = [*parts, {"type": "text", "text": "Why?"}]
        turns = [{"role": "user", "content": asked}, {"role": "assistant", "content": "So."}]
        return {"messages": turns}

    records = [record(0), record(1, 0, 1)]
    plain = write(tmp_path / "a.json", records)
    packed = tmp_path / "b.json.gz"
    text = json.dumps([record(1)]).replace("/", "\\/")  # as some programs escape it
    packed.write_bytes(gzip.compress(text.encode()))
    empty = write_zip(tmp_path / "e.zip", {"x.jpg": picture()})
    output = tmp_path / "out"
    ran = run("convert", "--json", plain, packed, "--images", empty, "--output", output)
    assert ran.code == 0, ran.err + ran.out
    names = [f"inline/{hashlib.sha256(one).hexdigest()}.jpg" for one in data]
    assert set(dataset.image_table(output)) == set(names)
    rows = dataset.lines(output / "jsonl_tools_noid")
    assert sorted(len(row["images"]) for row in rows) == [1, 1, 3]
    for row in rows:
        for file in row["images"]:
            assert (output / file).read_bytes() in data
    assert dataset.rejects(output) == []
    assert not (output / "_beam_mat" / "unpacked").exists()
