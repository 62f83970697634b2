"""The records of the sample. Each block of forty has every shape that the published set has."""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Iterator, Sequence

import msgspec

from beam_mat.sample.data import BLOCK, SYSTEM_PROMPT, TASKS, Picture, Task, Working, picture

_BLOCK_PICTURES = 1 + max(number for shape in BLOCK for number in shape.pictures)
_STEP = "Thought: {}\n\nCode:\n```py\n{}\n```"


def records(seed: int, count: int, images: int) -> Iterator[dict[str, object]]:
    """Yields the first `count` records of the set, which use the first `images` pictures."""
    for position in range(count):
        block, place = divmod(position, len(BLOCK))
        repeated = BLOCK[place].repeats
        place = place if repeated is None else repeated
        shown = [
            picture(seed, (block * _BLOCK_PICTURES + number) % images)
            for number in BLOCK[place].pictures[:images]
        ]
        yield _record(seed, block * len(BLOCK) + place, shown)


def repeats(count: int) -> int:
    """Returns how many of the first `count` records have the id of an earlier one."""
    return sum(BLOCK[place % len(BLOCK)].repeats is not None for place in range(count))


def element(value: object) -> bytes:
    """Returns a value as an element of an indented JSON array, without the comma."""
    return json.dumps([value], ensure_ascii=False, indent=4)[2:-2].encode()


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
