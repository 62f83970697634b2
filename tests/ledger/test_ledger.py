"""The log is written, and the folders follow it."""

from __future__ import annotations

from pathlib import Path

from beam_mat import earlier, manifest
from beam_mat.ledger import Ledger, adopt
from tests.command import converted
from tests.making import image_record, picture, record, write_shard, write_zip


def test_a_part_that_was_mixed_and_is_written_again_is_put_aside(tmp_path: Path) -> None:
    shards = [
        write_shard(tmp_path / "a.json", [image_record("a", "a.jpg"), image_record("b", "a.jpg")]),
        write_shard(tmp_path / "t.json", [record("t")]),
    ]
    images = write_zip(tmp_path / "a.zip", {"a.jpg": picture()})
    output = converted(shards, images, tmp_path / "out")
    found = earlier.look(str(output))
    assert found.begun
    assert found.manifest
    ledger = Ledger(earlier.read_job(found.begun).settings)
    adopt(ledger, found.manifest, lambda _: 0, lambda _: 0)
    mixed = [path for path in ledger.known() - ledger.listed() if path.startswith("jsonl/")]
    (base,) = mixed
    # As a shard that is worked on again to no other end leaves it.
    (output / base).write_text("{}\n")
    entry = next(one for one in ledger.contents.shards.values() if one.uri.endswith("a.json"))
    assert ledger.commit([entry.shard()], []) is None
    assert not (output / base).exists()
    assert (output / "replaced" / base).exists()
    told = manifest.read(str(output))
    assert told
    assert told.generation == 1
