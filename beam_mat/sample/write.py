"""Writes the sample to a folder: JSON shards and one zip.

Each block of forty records has every shape that the published set has.
"""

import base64
import itertools
import json
import random
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from beam_mat.core.reject import Reason
from beam_mat.sample.data import (
    BLOCK,
    FAULTY_RECORDS,
    MAX_PICTURES,
    SYSTEM_PROMPT,
    TASKS,
    FaultyRecord,
    Picture,
    Task,
    Working,
    body,
    picture,
)

_BLOCK_PICTURES = 1 + max(number for shape in BLOCK for number in shape.pictures)
_STEP = "Thought: {}\n\nCode:\n```py\n{}\n```"


@dataclass(frozen=True)
class SampleSummary:
    """The files that were written, and the counts that a conversion of them reports.

    `records` counts as the converter does: the elements of all arrays, where the truncated end of a
    shard counts as one. `rejected` has the number of records by reason with ``--duplicates keep``;
    ``--duplicates drop`` rejects `duplicates` more.
    """

    shards: tuple[Path, ...]
    image_zip: Path
    records: int
    rejected: Mapping[Reason, int]
    duplicates: int


def write_sample(
    folder: Path,
    *,
    records: int = 40,
    images: int = 30,
    shards: int = 1,
    seed: int = 0,
    faults: bool = False,
) -> SampleSummary:
    """Writes a set in the shape of MAT to a new folder: ``mat_train*.json`` and ``files.zip``.

    The same arguments give the same bytes on every machine, and another seed gives another set.
    Records and pictures are written one by one, so memory use does not grow with the set.

    `records` and `images` are the numbers of valid ones. Some records have the id of an earlier
    one; without images, every record is text only. With `faults`, there are also invalid records
    and images for every `Reason`: most of them in the first shard, and a truncated shard
    ``mat_train-broken.json``.

    Raises a ValueError if a number is out of range, and a FileExistsError if the folder is not
    empty, or is a file.
    """
    _check(folder, records, images, shards)
    folder.mkdir(parents=True, exist_ok=True)
    extra = FAULTY_RECORDS if faults else ()
    elements = map(_element, _records(seed, records, images))
    paths = []
    for shard in range(shards):
        paths.append(folder / ("mat_train.json" if shards == 1 else f"mat_train-{shard:05}.json"))
        size = records * (shard + 1) // shards - records * shard // shards
        part = itertools.islice(elements, size)
        # One of each in turn, so that each invalid record is between valid ones; then the rest.
        mixed = itertools.zip_longest(part, map(_faulty, extra if shard == 0 else ()))
        _write_array(paths[-1], (one for pair in mixed for one in pair if one is not None))
    duplicates = sum(BLOCK[place % len(BLOCK)].repeats is not None for place in range(records))
    rejected = Counter(fault.reason for fault in extra if fault.reason)
    total = records + len(extra)
    if faults:
        paths.append(folder / "mat_train-broken.json")
        paths[-1].write_bytes(body("data/broken_shard.json"))
        rejected[Reason.SHARD_BREAKS_OFF] += 1
        total += 3
        duplicates += 1
    image_zip = folder / "files.zip"
    _write_zip(image_zip, seed, images, body("data/faulty.zip") if faults else b"")
    return SampleSummary(
        shards=tuple(paths),
        image_zip=image_zip,
        records=total,
        rejected=dict(rejected),
        duplicates=duplicates,
    )


def _faulty(fault: FaultyRecord) -> bytes:
    old, new = (text.encode("latin-1") for text in fault.replace)
    made = _element(fault.value)
    return made.replace(old, new * fault.times, 1) if old else made


def _write_array(path: Path, elements: Iterator[bytes]) -> None:
    with path.open("xb") as file:
        before = b"["
        for one in elements:
            file.write(before + b"\n" + one)
            before = b","
        file.write(b"[]" if before == b"[" else b"\n]")


def _write_zip(path: Path, seed: int, images: int, before: bytes) -> None:
    path.write_bytes(before)
    with zipfile.ZipFile(path, "a") as archive:
        # The published zip is sorted by name, so neighbours in the JSON are far apart in the zip.
        for index in sorted(range(images), key=lambda index: picture(seed, index).member):
            shown = picture(seed, index)
            info = zipfile.ZipInfo(shown.member, (2024, 12, 10, 0, 0, 0))
            info.compress_type = zipfile.ZIP_DEFLATED
            info.create_system = 3
            info.external_attr = 0o100600 << 16
            # At level 0 every zlib gives the same bytes.
            archive.writestr(info, shown.encoded(), compresslevel=0)


def _check(folder: Path, records: int, images: int, shards: int) -> None:
    if records < 0:
        raise ValueError(f"records is {records}; it must be 0 or more.")
    if not 0 <= images <= MAX_PICTURES:
        raise ValueError(f"images is {images}; it must be from 0 to {MAX_PICTURES}.")
    if shards < 1:
        raise ValueError(f"shards is {shards}; it must be 1 or more.")
    if folder.is_dir() and any(folder.iterdir()):
        cure = "choose a new folder or empty this one first."
        raise FileExistsError(f"{folder} is not empty; {cure}")
    if folder.exists() and not folder.is_dir():
        raise FileExistsError(f"{folder} is a file; choose a new folder.")


def _element(value: object) -> bytes:
    """A value as an element of an indented JSON array, without the comma."""
    return json.dumps([value], ensure_ascii=False, indent=4)[2:-2].encode()


def _records(seed: int, count: int, images: int) -> Iterator[dict[str, object]]:
    """Yields the first `count` records, which use the first `images` pictures."""
    for position in range(count):
        block, place = divmod(position, len(BLOCK))
        repeated = BLOCK[place].repeats
        place = place if repeated is None else repeated
        shown = [
            picture(seed, (block * _BLOCK_PICTURES + number) % images)
            for number in BLOCK[place].pictures[:images]
        ]
        yield _record(seed, block * len(BLOCK) + place, shown)


def _record(seed: int, number: int, shown: Sequence[Picture]) -> dict[str, object]:
    """A valid record with the given pictures, possibly fewer than its shape has."""
    shape = BLOCK[number % len(BLOCK)]
    rng = random.Random(f"record {seed} {number}")
    several = len(shown) > 1
    keys = shape.keys[: len(shown)] if several else ["<image>"] * len(shown)
    twist = shape.twist if several or shape.twist in ("literal <image>", "system field") else ""
    task = _task(rng, shown, keys if twist == "named twice" else ())
    attachments = " ".join(f"data/{one.member};" for one in shown)
    asked = f"Task: {task.question}\n"
    if shown:
        asked = "\n".join(keys) + f"\n{asked} Attachment: {attachments}  "
    contents = [asked, *_answers(task, shown, keys[0] if twist == "mentioned" else "")]
    if twist == "literal <image>":
        thought = "Thought: The picture that is marked with <image> shows me all that I need.\n\n"
        contents[-1] = thought + contents[-1].split("\n\n", 1)[1]
    turns = [
        {"role": ("user", "assistant")[place % 2], "content": content}
        for place, content in enumerate(contents)
    ]
    if twist != "system field":
        turns.insert(0, {"role": "system", "content": SYSTEM_PROMPT})
    thought = "The tools fit the task, and the answer follows from their output."
    verdict = json.dumps({"thought": thought, "correct": "yes"}, indent=0)
    paths = [f"data/open_llava_next/{one.path}" for one in shown]
    made: dict[str, object] = {
        "id": _id(seed, number),
        "image": None if shape.field == "null" else _field(keys, paths, shape.field == "object"),
        "correct": "yes",
        "answer": task.answer,
        "conversations": turns,
        "traj_verification": f"```json\n{verdict}\n```",
    }
    if shape.field == "missing":
        del made["image"]
    if twist == "system field":
        made["system-prompt"] = SYSTEM_PROMPT
    return made


def _id(seed: int, number: int) -> str:
    # Different numbers below 2**48 give different ids.
    start = random.Random(f"ids {seed}").getrandbits(48)
    mixed = (number * 0x5DEECE66D9B1 + start) % (1 << 48)
    return base64.urlsafe_b64encode(mixed.to_bytes(6, "big")).decode()


def _field(keys: Sequence[str], paths: Sequence[str], as_object: bool) -> object:
    if len(paths) == 1:
        return paths[0]
    named = dict(zip(keys, paths, strict=True))
    return named if as_object and named else json.dumps(dict(reversed(named.items())))


def _task(rng: random.Random, shown: Sequence[Picture], keys: Sequence[str]) -> Task:
    """A task about the pictures; with `keys`, its question names the first two of them."""
    if not shown:
        return rng.choice(TASKS)
    first = shown[0].original
    task = msgspec.structs.replace(rng.choice(first.tasks), seen=first.seen)
    if len(shown) == 1:
        return task
    captions = [one.original.caption for one in shown]
    seen = [f"This is {caption}." for caption in captions]
    if not keys and rng.random() < 0.5:
        answer = "; ".join(f"{n}. {caption}" for n, caption in enumerate(captions, 1))
        question = "Write a short caption for each of these pictures."
        return Task(question, answer, seen="\n".join(seen))
    which = f"Look at {keys[0]}, not at {keys[1]}" if keys else "Look at the first picture only"
    return msgspec.structs.replace(
        task, question=f"{which}. {task.question}", seen="\n".join([task.seen, *seen[1:]])
    )


def _answers(task: Task, shown: Sequence[Picture], mentioned: str) -> Iterator[str]:
    """Yields two to four turns of the assistant, and the output of the tools between them."""
    steps = list(task.workings)
    if shown:
        question, what = task.question, "the picture"
        if len(shown) > 1:
            question, what = "What does this picture show in detail?", "the pictures one by one"
        calls = "\n".join(
            f'print(image_qa(question="{question}", image_path="data/{one.member}"))'
            for one in shown
        )
        mention = f" I begin with {mentioned}." if mentioned else ""
        look = f"I need to look at {what} to answer this.{mention} I use the tool `image_qa`."
        steps.insert(0, Working(look, calls, task.seen))
    elif task.seen:
        find = "I do not know this by heart, so I use the tool `search`."
        call = f"print(search({json.dumps(task.question, ensure_ascii=False)}))"
        steps.insert(0, Working(find, call, task.seen))
    for number, step in enumerate(steps):
        yield _STEP.format(step.thought, step.code)
        yield f"[OUTPUT OF STEP {number}] Observation:\n{step.output}\n"
    done = f"final_answer({json.dumps(task.answer, ensure_ascii=False)})"
    yield _STEP.format("I now have everything that I need for the answer.", done)
