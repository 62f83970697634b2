"""Hostile JSON shards: one of each kind that once stopped a job or took much memory or time.

`shards` yields names and bytes. Sizes are those at which a quadratic step, or memory that grows
with the number of records, shows within seconds.
"""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Iterator

MIB = 1 << 20
MANY = 1 << 16

GOOD = (
    b'{"id":"g","conversations":[{"role":"user","content":"q"},{"role":"assistant","content":"a"}]}'
)
TOOLS = "You have tools.\n- search: finds.\n- visualizer: looks.\n"
CODE = "```py\n%s\n```"


def record(answer: str, system: str = TOOLS, **fields: object) -> bytes:
    """Returns a record in MAT's format."""
    texts = (("system", system), ("user", "Why?"), ("assistant", answer))
    turns = [{"role": role, "content": content} for role, content in texts]
    return json.dumps({"id": "i1", "image": "{}", "conversations": turns, **fields}).encode()


def _array(*records: bytes) -> bytes:
    return b"[" + b",".join(records) + b"]"


def _object(keys: int, value: bytes = b"1") -> bytes:
    return b"{" + b",".join(b'"k%d":%s' % (at, value) for at in range(keys)) + b"}"


def boundaries() -> Iterator[tuple[str, bytes]]:
    """Small shards in which it is not obvious where a record begins or ends."""
    for name, junk in (
        ("stray_quote", b' "'),
        ("two_stray_quotes", b' ""'),
        ("stray_brace", b" }"),
        ("stray_word", b" x"),
        ("stray_list", b"[]"),
        ("stray_backslash", b' \\"'),
        ("stray_comma", b",,"),
        ("stray_null", b"\0"),
    ):
        yield f"{name}_at_the_end", b"[" + GOOD + junk
        yield f"{name}_before_the_bracket", b"[" + GOOD + junk + b"]"
        yield f"{name}_between_records", b"[" + GOOD + junk + b"," + GOOD + b"]"
        yield f"{name}_in_lines", GOOD + junk + b"\n" + GOOD + b"\n"
        yield f"{name}_in_an_object", b'{"data": [\n' + GOOD + junk + b'\n], "more": []}'
    yield "list_closed_by_a_brace", b'{"data": [{"a":1}}, "more": [{}]}'
    yield "list_of_lists", _array(b"[" + GOOD + b"]")
    yield "carriage_returns", GOOD + b"\r" + GOOD + b"\r\n" + GOOD
    yield "commas_between_lines", GOOD + b",\n" + GOOD + b",\n"


def deep() -> Iterator[tuple[str, bytes]]:
    """Records of brackets, some deeper than an interpreter's stack."""
    for depth in (63, 64, 65, 900, 976, 1100, 100_000):
        yield f"lists_{depth}_deep", _array(b'{"id":' + b"[" * depth + b"]" * depth + b"}", GOOD)
        text = b'{"a":' * depth + b"1" + b"}" * depth
        yield f"objects_{depth}_deep", _array(text, GOOD)
    yield "brackets_that_open", b"[" * (4 * MIB)
    yield "brackets_and_braces", b"[" + b"[{" * MIB
    yield "empty_lists", _array(b"[" + b"[]," * MIB + b"1]", GOOD)
    yield "empty_texts", _array(b"[" + b'"",' * MIB + b"1]", GOOD)
    yield "backslashes", _array(b'{"id":"' + b"\\" * (4 * MIB) + b'"}', GOOD)
    yield "brackets_over_lines", b'{"a":' + b"[" * MIB + b"\n" + b"]" * MIB + b"}\n"


def many() -> Iterator[tuple[str, bytes]]:
    """Very many very small records, keys or blanks."""
    yield "tiny_objects", _array(*[b"{}"] * MANY)
    yield "tiny_lines", b"{}\n" * MIB
    yield "tiny_numbers", _array(*[b"1"] * MANY)
    yield "tiny_objects_in_gzip", gzip.compress(_array(*[b"{}"] * MANY), mtime=0)
    yield "blank_lines", b"\n" * (8 * MANY) + GOOD
    yield "keys", _object(MANY, b"[]")
    new = b"".join(b'{"k%d":1}\n' % at for at in range(MANY // 2))
    yield "new_keys_in_each_line", new
    long = b'{"id":"l","' + b"k" * (2 * MANY) + b'":'
    yield "list_under_a_long_key", _array(long + b"[" + b"1," * MIB + b"1]}", GOOD)
    yield "keys_under_a_long_key", _array(long + _object(MANY // 2) + b"}", GOOD)
    yield "lists_in_an_object", b'{"data":\n[' + b"{}," * (MANY) + b"{}]}"
    yield "turns", record("x", turns=[{}] * MANY)
    yield "keys_of_a_record", _array(GOOD[:-1] + b"," + _object(MANY)[1:], GOOD)
    same = json.dumps([{"role": "user", "content": "q"}] * 100_000).encode()
    yield "turns_of_a_user", _array(b'{"id":"t","conversations":' + same + b"}", GOOD)


def numbers() -> Iterator[tuple[str, bytes]]:
    """Numbers beyond what Python and LLaMA-Factory expect."""
    for name, text in (
        ("digits_4300", b"9" * 4300),
        ("digits_a_million", b"9" * MIB),
        ("exponent", b"1e999999999"),
        ("fraction", b"0." + b"1" * MIB),
        ("not_a_number", b"NaN"),
        ("infinity", b"-Infinity"),
    ):
        yield f"{name}_in_an_ignored_field", _array(GOOD[:-1] + b',"score":' + text + b"}", GOOD)
        yield f"{name}_as_the_id", _array(GOOD.replace(b'"g"', text), GOOD)


def texts() -> Iterator[tuple[str, bytes]]:
    """Records with long texts, against steps that look for something in them."""
    for name, text in (
        ("round_brackets", CODE % ("(" * (4 * MIB))),
        ("square_brackets", "[" * (4 * MIB)),
        ("names_and_brackets", CODE % ("search(" * (MIB // 2))),
        ("long_name", CODE % ("a" * (4 * MIB) + "(")),
        ("blanks_before_brackets", CODE % ("search" + " " * (4 * MIB) + "(")),
        ("blanks_and_brackets", CODE % ((" " * 60 + "(") * (MIB // 16))),
        ("fences", "```" * MIB),
        ("fences_and_brackets", "```py\n(" * (MIB // 2)),
        ("boxes", "[1," * MIB),
        ("box_gaps", ("[" + " " * 39) * (MIB // 16)),
        ("box_starts", "<box>" * (MIB // 2)),
        ("box_keys", '"x1":1,' * (MIB // 4) + "y2"),
        ("images", "<image>" * (MIB // 2)),
        ("image_words", "<image_00" * (MIB // 4)),
        ("data_addresses", "data:image/png;base64," * (MIB // 8)),
        ("image_tags", "<img>" * (MIB // 2)),
        ("half_pairs", "\ud83d" * (MIB // 4)),
    ):
        yield f"{name}_in_an_answer", _array(record(text), GOOD)
        question = [{"role": "user", "content": text}, {"role": "assistant", "content": "a"}]
        yield f"{name}_in_a_question", _array(record("", conversations=question), GOOD)
        turns = [{"from": "human", "value": text}, {"from": "gpt", "value": "a"}]
        yield f"{name}_from_a_human", _array(record("", conversations=turns))
    names = "\n".join(f"- t{at}: a tool." for at in range(200_000))
    yield "tools", _array(record(CODE % ("t1(" * (MIB // 2)), names), GOOD)
    for at in range(8):
        listed = "\n".join(f"- t{at}_{one}: a tool." for one in range(150_000))
        yield f"prompt_{at}", _array(record(CODE % "t1(1)", listed))


def shards() -> Iterator[tuple[str, bytes]]:
    """Yields the name and the bytes of each hostile shard. The same ones every time."""
    for group in (boundaries, deep, many, numbers, texts):
        yield from group()


_ALPHABET = [bytes([byte]) for byte in b'{}[]",:\\ \n\r\ta1-\0\xff']
_WORDS = [GOOD, b"{}", b'"data":', b"[{", b"}]", b"\xef\xbb\xbf", b"NaN", b"\\u", b"\xc3", b"{\n"]


def mutated(seed: int, count: int) -> Iterator[bytes]:
    """Yields `count` small shards: soup of what means something to a scanner, or mutations."""
    random_ = random.Random(seed)
    pieces = _ALPHABET + _WORDS
    bases = [data for _, data in boundaries()]
    for _ in range(count):
        if random_.random() < 0.4:
            yield b"".join(random_.choices(pieces, k=random_.randrange(1, 40)))
            continue
        data = bytearray(random_.choice(bases))
        for _ in range(random_.randrange(1, 6)):
            at = random_.randrange(len(data) + 1)
            data[at : at + random_.choice((0, 0, 1, 1, 2, 9, 90))] = random_.choice([b"", *pieces])
        yield bytes(data)
