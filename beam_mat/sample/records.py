"""The records of the sample: every shape that a published set has, in a block of forty."""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Iterator, Sequence
from enum import Enum

from beam_mat.sample.pictures import Picture, picture
from beam_mat.sample.subjects import Task, Working
from beam_mat.sample.texts import SYSTEM_PROMPT, text_task

Record = dict[str, object]
Turn = dict[str, object]


class Shape(Enum):
    """How a record holds its images: a line of description and the number of new images."""

    TEXT = ("no image: the text {}", 0)
    NULL = ("no image: null, as in older files", 0)
    NO_KEY = ("no image: no key at all, as in older files", 0)
    ONE = ("one path", 1)
    SHARED = ("the picture of the block's first record with one path", 0)
    LITERAL = ("one path, and the assistant writes a literal <image>", 1)
    SYSTEM_FIELD = ("one path, and the system prompt in a field of its own", 1)
    PAIR = ("two images, keys reversed", 2)
    OBJECT = ("two images in a real object, as in older files", 2)
    TWICE = ("two images, one of them named twice in the user's turn", 2)
    MENTION = ("two images, and the assistant names <image_00>", 2)
    TRIPLE = ("three images, keys reversed", 3)
    GAP = ("three images, keys reversed and <image_01> left out", 3)

    def __init__(self, description: str, images: int) -> None:
        self.description = description
        self.images = images


_S = Shape
_BLOCK: tuple[Shape, ...] = (
    *(_S.TEXT, _S.ONE, _S.PAIR, _S.TEXT, _S.GAP, _S.ONE, _S.TEXT, _S.SHARED, _S.NO_KEY, _S.TWICE),
    *(_S.TEXT, _S.LITERAL, _S.MENTION, _S.TEXT, _S.OBJECT, _S.SYSTEM_FIELD, _S.NULL, _S.TRIPLE),
    *(_S.TEXT, _S.ONE, _S.TEXT, _S.PAIR, _S.TEXT, _S.TEXT, _S.GAP, _S.ONE, _S.TEXT, _S.TEXT),
    *(_S.PAIR, _S.TEXT, _S.ONE, _S.TRIPLE, _S.TEXT, _S.TEXT),
)
_REPEATS = {9: 1, 16: 3, 20: 1, 25: 1, 30: 3, 37: 1}
"""Position in a block of forty -> the record of `_BLOCK` that stands there once more."""

BLOCK_RECORDS = len(_BLOCK) + len(_REPEATS)
_BLOCK_IMAGES = sum(shape.images for shape in _BLOCK)
_SHARED_IMAGE = sum(shape.images for shape in _BLOCK[: _BLOCK.index(Shape.ONE)])


def _order() -> tuple[int, ...]:
    fresh = iter(range(len(_BLOCK)))
    return tuple(
        _REPEATS[place] if place in _REPEATS else next(fresh) for place in range(BLOCK_RECORDS)
    )


_ORDER = _order()


def records(seed: int, count: int, images: int) -> Iterator[Record]:
    """The first `count` records of the set that uses the first `images` pictures."""
    for position in range(count):
        block, place = divmod(position, BLOCK_RECORDS)
        yield _record(seed, block, _ORDER[place], images)


def repeats(count: int) -> int:
    """How many of the first `count` records have the id of an earlier one."""
    return sum(1 for position in range(count) if position % BLOCK_RECORDS in _REPEATS)


def record_id(seed: int, number: int) -> str:
    """Eight characters; different numbers below 2**48 give different ids."""
    start = random.Random(f"ids {seed}").getrandbits(48)
    mixed = (number * 0x5DEECE66D9B1 + start) % (1 << 48)
    return base64.urlsafe_b64encode(mixed.to_bytes(6, "big")).decode()


def element(record: object) -> bytes:
    """The record as it stands in a pretty-printed JSON array, without the comma."""
    return json.dumps([record], ensure_ascii=False, indent=4)[2:-2].encode()


def text_record(seed: int, number: int) -> Record:
    """A sound record without an image."""
    rng = random.Random(f"record {seed} {number}")
    task = text_task(rng)
    turns = [_system(), _turn("user", f"Task: {task.question}\n"), *_answers(task, ())]
    return _whole(record_id(seed, number), "{}", task, turns)


def picture_record(seed: int, number: int, shown: Picture) -> Record:
    """A sound record with one path."""
    rng = random.Random(f"record {seed} {number}")
    task = shown.subject.task(rng)
    turns = [_system(), _turn("user", _asked("<image>", task, (shown,)))]
    return _whole(
        record_id(seed, number), shown.json_path, task, [*turns, *_answers(task, (shown,))]
    )


def _record(seed: int, block: int, which: int, images: int) -> Record:
    number, shape = block * len(_BLOCK) + which, _BLOCK[which]
    first = block * _BLOCK_IMAGES + sum(shape.images for shape in _BLOCK[:which])
    if shape is Shape.SHARED:
        first = block * _BLOCK_IMAGES + _SHARED_IMAGE
    wanted = max(shape.images, int(shape is Shape.SHARED))
    shown = [picture(seed, (first + n) % images) for n in range(min(wanted, images))]
    if not shown:
        record = text_record(seed, number)
    elif len(shown) == 1:
        record = picture_record(seed, number, shown[0])
    else:
        record = _of_many(seed, number, shape, shown)
    return _reshaped(record, shape)


def _of_many(seed: int, number: int, shape: Shape, shown: Sequence[Picture]) -> Record:
    rng = random.Random(f"record {seed} {number}")
    numbers = [0, *range(2, len(shown) + 1)] if shape is Shape.GAP else list(range(len(shown)))
    keys = [f"<image_{n:02}>" for n in numbers]
    task = _joint_task(rng, shown, keys if shape is Shape.TWICE else ())
    mention = f" I begin with {keys[0]}." if shape is Shape.MENTION else ""
    turns = [
        _system(),
        _turn("user", _asked("\n".join(keys), task, shown)),
        *_answers(task, shown, mention),
    ]
    paths = {key: one.json_path for key, one in zip(keys, shown, strict=True)}
    field: object = paths
    if shape is not Shape.OBJECT:
        field = json.dumps(dict(reversed(paths.items())))
    return _whole(record_id(seed, number), field, task, turns)


def _joint_task(rng: random.Random, shown: Sequence[Picture], keys: Sequence[str]) -> Task:
    captions = [one.subject.caption for one in shown]
    seen = "\n".join(f"This is {caption}." for caption in captions)
    if not keys and rng.random() < 0.5:
        answer = "; ".join(f"{n}. {caption}" for n, caption in enumerate(captions, 1))
        return Task("Write a short caption for each of these pictures.", seen, answer)
    task = shown[0].subject.task(rng)
    which = f"Look at {keys[0]}, not at {keys[1]}" if keys else "Look at the first picture only"
    seen = "\n".join([task.seen, *seen.split("\n")[1:]])
    return Task(f"{which}. {task.question}", seen, task.answer, task.workings)


def _reshaped(record: Record, shape: Shape) -> Record:
    """The record with what makes its shape a special one."""
    if shape is Shape.NO_KEY:
        del record["image"]
    elif shape is Shape.NULL:
        record["image"] = None
    elif shape is Shape.SYSTEM_FIELD:
        turns = record["conversations"]
        assert isinstance(turns, list)
        record["system-prompt"] = SYSTEM_PROMPT
        record["conversations"] = turns[1:]
    elif shape is Shape.LITERAL:
        turns = record["conversations"]
        assert isinstance(turns, list)
        thought = "Thought: What the user marks with <image> tells me all that I need.\n\n"
        turns[-1] = _turn("assistant", thought + turns[-1]["content"].split("\n\n", 1)[1])
    return record


def _asked(marks: str, task: Task, shown: Sequence[Picture]) -> str:
    attachments = " ".join(f"{one.attachment};" for one in shown)
    return f"{marks}\nTask: {task.question}\n Attachment: {attachments}  "


def _answers(task: Task, shown: Sequence[Picture], mention: str = "") -> Iterator[Turn]:
    """Two to four turns of the assistant, and between them what the tools printed."""
    steps: list[Working] = []
    if shown:
        question = task.question if len(shown) == 1 else "What does this picture show in detail?"
        calls = "\n".join(
            f'print(image_qa(question="{question}", image_path="{one.attachment}"))'
            for one in shown
        )
        what = "the picture" if len(shown) == 1 else "the pictures one by one"
        look = f"I need to look at {what} to answer this.{mention} I use the tool `image_qa`."
        steps.append(Working(look, calls, task.seen))
    elif task.seen:
        find = "I do not know this by heart, so I use the tool `search`."
        steps.append(
            Working(
                find, f"print(search({json.dumps(task.question, ensure_ascii=False)}))", task.seen
            )
        )
    for number, step in enumerate([*steps, *task.workings]):
        yield _turn("assistant", f"Thought: {step.thought}\n\nCode:\n```py\n{step.code}\n```")
        yield _turn("user", f"[OUTPUT OF STEP {number}] Observation:\n{step.output}\n")
    done = f"final_answer({json.dumps(task.answer, ensure_ascii=False)})"
    thought = "I now have everything that is needed for the answer."
    yield _turn("assistant", f"Thought: {thought}\n\nCode:\n```py\n{done}\n```")


def _whole(name: str, image: object, task: Task, turns: Sequence[Turn]) -> Record:
    verdict = {
        "thought": "The tools fit the task, and the answer follows from what they printed.",
        "correct": "yes",
    }
    return {
        "id": name,
        "image": image,
        "correct": "yes",
        "answer": task.answer,
        "conversations": list(turns),
        "traj_verification": f"```json\n{json.dumps(verdict, indent=0)}\n```",
    }


def _system() -> Turn:
    return _turn("system", SYSTEM_PROMPT)


def _turn(role: str, content: str) -> Turn:
    return {"role": role, "content": content}
