"""Makes the golden datasets: small datasets with every part of the output's layout.

    python -m tests.golden_datasets tests/golden

`test_golden.py` makes them again and compares each byte. The trainer's tests read them. Inputs and
outputs are in memory, with fixed addresses and times, so nothing depends on the machine.
"""

from __future__ import annotations

import datetime
import json
import sys
import tempfile
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import fsspec
import msgspec

from beam_mat.core.chunk import Shard
from beam_mat.core.geometry import Budget
from beam_mat.core.image import ImageRules, resizer_name
from beam_mat.core.results import Source
from beam_mat.core.settings import Settings
from beam_mat.dataset.views import read_manifest
from beam_mat.report.write import write_of
from beam_mat.sample import write_sample
from beam_mat.storage import files
from beam_mat.watch.commit import Committer
from tests.command import run
from tests.making import image_record, picture, record
from tests.work.plain import finish

ROOT = "memory:///golden"
PREFIXES = (("data/open_llava_next/", "tongagent/"),)
PIXELS = 3000
"""The pixel budget, which gives pictures of a few hundred bytes."""
TEXTS = 3
_TIME = datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc)

Record = dict[str, Any]
Members = dict[str, bytes]


def put(name: str, data: bytes, day: int = 0) -> str:
    """Writes an input to memory with a day of January 2026 as its time. Returns its URI."""
    uri = f"{ROOT}/in/{name}"
    fs = fsspec.filesystem("memory")
    fs.pipe_file(uri, data)
    time = _TIME + datetime.timedelta(days=day)
    file = fs.store[fs._strip_protocol(uri)]
    file.created = file.modified = time
    return uri


def zipped(members: Mapping[str, bytes]) -> bytes:
    """Returns a zip of stored members."""
    with tempfile.TemporaryFile() as file:
        with zipfile.ZipFile(file, "w") as archive:
            for name, data in members.items():
                archive.writestr(zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0)), data)
        file.seek(0)
        return file.read()


def sample(records: int, images: int) -> tuple[list[Record], Members]:
    """Returns records and pictures of the sample. Long texts are shortened."""
    with tempfile.TemporaryDirectory() as folder:
        made = write_sample(Path(folder), records=records, images=images)
        found = [one for shard in made.shards for one in json.loads(shard.read_bytes())]
        with zipfile.ZipFile(made.image_zip) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
    for one in found:
        for turn in one["conversations"]:
            turn["content"] = turn["content"][:400]
    return found, members


def shard(name: str, records: Sequence[object], day: int = 0) -> str:
    """Writes a shard and returns its URI."""
    return put(name, json.dumps(records, indent=1).encode(), day)


def convert(output: str, json: Sequence[str], images: Sequence[str], *more: str) -> None:
    """Runs a conversion in this process."""
    words = ("--json", *json, "--images", *images, "--output", output, f"--max-pixels={PIXELS}")
    ran = run("convert", *words, *more)
    assert ran.code == 0, ran.err


def batch(output: str) -> None:
    """Makes one conversion."""
    records, members = sample(8, 4)
    convert(output, [shard("batch.json", records)], [put("batch.zip", zipped(members))])


def grown(output: str) -> None:
    """Extends a conversion by a shard and a zip, and keeps both generations."""
    records, members = sample(8, 4)
    first, second = list(members)[:2], list(members)[2:]
    shards = [shard("grown-a.json", records[:4])]
    zips = [put("grown-a.zip", zipped({name: members[name] for name in first}))]
    convert(output, shards, zips, "--keep-generations", "all")
    shards.append(shard("grown-b.json", records[4:]))
    zips.append(put("grown-b.zip", zipped({name: members[name] for name in second})))
    convert(output, shards, zips)


def rejects(output: str) -> None:
    """Converts invalid records and records with missing and broken images."""
    records, members = sample(4, 2)
    bad: list[object] = [
        3,
        {"id": "no-turns"},
        record("empty", answer=""),
        image_record("missing", "nowhere/1.jpg"),
        image_record("broken", "broken.jpg"),
    ]
    archive = zipped({**members, "broken.jpg": b"not a picture"})
    convert(output, [shard("rejects.json", [*records, *bad])], [put("rejects.zip", archive)])


def validation(output: str) -> None:
    """Makes a validation split, and mixes text-only rows with image rows."""
    records, members = sample(12, 4)
    texts = [record(f"text-{number}", answer=f"Thought: {number}.") for number in range(TEXTS)]
    convert(
        output,
        [shard("validation.json", records), shard("validation-texts.json", texts)],
        [put("validation.zip", zipped(members))],
        "--val-fraction=0.3",
    )


def schemas(output: str) -> None:
    """Makes rows of every subset: with and without ids, with tools, pairs and labels.

    The entries have a name of their own, and a validation split.
    """
    members = {f"{number}.jpg": picture(seed=number) for number in range(2)}
    usual: list[object] = [image_record(f"m{number}", f"{number % 2}.jpg") for number in range(6)]
    shards = [
        shard("schemas-mat.json", usual),
        shard("schemas-plain.json", [_plain(number) for number in range(6)]),
        shard("schemas-openai.json", [_openai(number, number % 2 == 0) for number in range(12)]),
        shard("schemas-pairs.json", [_pair(number) for number in range(6)]),
        shard("schemas-labels.json", [_labelled(number) for number in range(6)]),
    ]
    archive = put("schemas.zip", zipped(members))
    convert(output, shards, [archive], "--name=agents", "--val-fraction=0.3")


def _plain(number: int) -> Record:
    """Returns a record in LLaMA-Factory's own form, without an id."""
    question = {"role": "user", "content": f"<image>Question {number}: what is this?"}
    answer = {"role": "assistant", "content": "A square."}
    return {"messages": [question, answer], "images": [f"{number % 2}.jpg"]}


def _openai(number: int, has_tools: bool) -> Record:
    """Returns a record of OpenAI's content parts, with a call of a tool or without."""
    image = {"type": "image_url", "image_url": {"url": f"{number % 2}.jpg"}}
    question = [image, {"type": "text", "text": f"Question {number}: what is on the left?"}]
    turns: list[Record] = [{"role": "user", "content": question}]
    if not has_tools:
        return {"messages": [*turns, {"role": "assistant", "content": "A square."}]}
    call = {"name": "crop", "arguments": json.dumps({"side": "left"})}
    turns += [
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "c", "type": "function", "function": call}],
        },
        {"role": "tool", "tool_call_id": "c", "content": "blue"},
        {"role": "assistant", "content": "Blue."},
    ]
    side = {"type": "object", "properties": {"side": {"type": "string"}}}
    tool = {"name": "crop", "description": "Cuts out a part.", "parameters": side}
    return {"messages": turns, "tools": [{"type": "function", "function": tool}]}


def _pair(number: int) -> Record:
    """Returns a record with two answers, half of them with an id."""
    made: Record = {
        "images": [f"{number % 2}.jpg"],
        "conversations": [{"from": "human", "value": f"<image>\nTask {number}: what is this?"}],
        "chosen": {"from": "gpt", "value": "Thought: I look.", "observation": "blue"},
        "rejected": {"from": "gpt", "value": "Thought: I guess.", "observation": "red"},
        "system": "You are an agent.",
    }
    return {"id": f"p{number}", **made} if number % 2 else made


def _labelled(number: int) -> Record:
    """Returns a record of ms-swift with a label."""
    answer = {"role": "assistant", "content": "Blue." if number % 2 else "I cannot say."}
    question = {"role": "user", "content": f"<image>Question {number}: which colour?"}
    return {
        "messages": [question, answer],
        "images": [f"{number % 2}.jpg"],
        "label": bool(number % 2),
    }


def watched(output: str) -> None:
    """Makes four generations: a shard, another shard, a changed picture and a changed shard."""
    rules = Settings(
        output=output,
        images=ImageRules(Budget(PIXELS)),
        prefixes=PREFIXES,
        resizer=resizer_name(),
        resume=True,
    )
    settings = msgspec.structs.replace(rules, fingerprint=f"watch-{rules.digest()}")
    records = [image_record(f"r{n}", f"pictures/{n % 2}.jpg") for n in range(3)]
    texts = [record("t0"), record("t1")]
    members = {"pictures/0.jpg": picture(seed=0), "pictures/1.jpg": picture(seed=1)}
    committer = Committer(settings, None)

    def commit(shards: Sequence[str], archive: str) -> None:
        looked = [files.info(uri) for uri in shards]
        found = files.info(archive)
        zips = [Source(archive, 0, found.size, found.version)]
        finished = [
            finish(settings, Shard(one.uri, 0, one.size, one.version), zips) for one in looked
        ]
        committer.commit(finished, zips)

    archive = put("watched.zip", zipped(members))
    one, two = shard("watched-1.json", records), shard("watched-2.json", texts)
    commit([one], archive)
    commit([two], archive)
    archive = put("watched.zip", zipped({**members, "pictures/0.jpg": picture(seed=7)}), 1)
    commit([one], archive)
    commit([shard("watched-1.json", [*records, image_record("r3", "pictures/1.jpg")], 2)], archive)
    found = read_manifest(output)
    assert found is not None
    write_of(output, found, committer.snapshot)


GOLDEN: dict[str, Callable[[str], None]] = {
    "batch": batch,
    "watched": watched,
    "grown": grown,
    "rejects": rejects,
    "validation": validation,
    "schemas": schemas,
}
"""The function that makes each dataset."""


def make(name: str) -> dict[str, bytes]:
    """Makes a golden dataset. Returns its files without work results."""
    output = f"{ROOT}/{name}"
    files.remove(ROOT)
    try:
        GOLDEN[name](output)
        found = [path for path, _ in files.find(output) if not path.startswith("_beam_mat/")]
        return {path: files.read_bytes(f"{output}/{path}") for path in found}
    finally:
        files.remove(ROOT)


def main() -> None:
    """Writes all golden datasets to a folder."""
    folder = Path(sys.argv[1])
    for name in GOLDEN:
        files.remove(str(folder / name))
        for path, data in make(name).items():
            place = folder / name / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(data)
        sys.stdout.write(f"{name}\n")


if __name__ == "__main__":
    main()
