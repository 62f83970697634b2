"""The table of schemas: what each one reads, and an example of a record."""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from beam_mat.core.schemas import from_value, mat, messages, openai, ranking
from beam_mat.core.schemas.draft import Draft, Record
from beam_mat.core.trajectory import Schema


class Entry(msgspec.Struct, frozen=True):
    """A schema: the function that reads a record, which sets have it, and an example."""

    read: Callable[[Record], Draft]
    sets: str
    example: Mapping[str, Any]


_ASK, _SAY = "What is on the left?", "A cat."


def _from(asked: str, said: str, **more: Any) -> list[dict[str, Any]]:
    return [{"from": "human", "value": asked}, {"from": "gpt", "value": said, **more}]


def _role(asked: Any, said: str) -> list[dict[str, Any]]:
    return [{"role": "user", "content": asked}, {"role": "assistant", "content": said}]


TABLE: Mapping[Schema, Entry] = {
    Schema.MAT: Entry(
        mat.read,
        "MAT, MiniCPM-V's form",
        {
            "id": "1",
            "image": {"<image_00>": "a.jpg"},
            "conversations": _role(f"<image_00> {_ASK}", _SAY),
        },
    ),
    Schema.LLAVA: Entry(
        from_value.llava,
        "LLaVA, ShareGPT4V, LLaMA-Factory's sharegpt form with from and value",
        {"id": "1", "image": "a.jpg", "conversations": _from(f"<image>\n{_ASK}", _SAY)},
    ),
    Schema.SHAREGPT: Entry(
        messages.sharegpt,
        "LLaMA-Factory's sharegpt form with messages, GUI-Net",
        {"messages": _role(f"<image>{_ASK}", _SAY), "images": ["a.jpg"]},
    ),
    Schema.RANKING: Entry(
        ranking.read,
        "SPORT, LLaMA-Factory's ranking form, for DPO",
        {
            "images": ["a.jpg"],
            "conversations": [{"from": "human", "value": f"<image>{_ASK}"}],
            "chosen": {"from": "gpt", "value": _SAY},
            "rejected": {"from": "gpt", "value": "A dog."},
        },
    ),
    Schema.QWEN_VL: Entry(
        from_value.qwen_vl,
        "the first Qwen-VL, MAT-Agent's conversion of MAT",
        {
            "id": "1",
            "conversations": [
                {"from": "user", "value": f"Picture 1: <img>a.jpg</img>\n{_ASK}"},
                {"from": "assistant", "value": _SAY},
            ],
        },
    ),
    Schema.MS_SWIFT: Entry(
        messages.ms_swift,
        "ms-swift",
        {"messages": _role(_ASK, _SAY), "images": ["a.jpg"], "label": True},
    ),
    Schema.OPENAI: Entry(
        openai.read,
        "OpenAI's content parts and tool calls",
        {
            "messages": _role(
                [
                    {"type": "image_url", "image_url": {"url": "a.jpg"}},
                    {"type": "text", "text": _ASK},
                ],
                _SAY,
            )
        },
    ),
    Schema.AGUVIS: Entry(
        from_value.aguvis,
        "AGUVIS",
        {
            "image": "a.jpg",
            "conversations": _from(
                "<image>\nPress the cat.", "click(0.2, 0.5)", recipient="os", end_turn=True
            ),
        },
    ),
}
