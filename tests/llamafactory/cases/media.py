"""Placeholders, images in every form, and lengths."""

from __future__ import annotations

from PIL import Image

from beam_mat.core.contract.finding import Kind
from tests.build import canvas, picture, save
from tests.llamafactory.cases.case import (
    IMAGE_FEATURE,
    drops,
    fails,
    sound,
)
from tests.rows import (
    COLUMNS,
    IMAGE,
    entry,
    inside,
    lines,
    parquet,
    seen,
    text,
    turns,
    without,
)


def _dark_text() -> Image.Image:
    picture = Image.new("RGBA", (64, 64))
    picture.putalpha(Image.linear_gradient("L").resize((64, 64)))
    return picture


MEDIA = [
    fails(
        "an image without a placeholder",
        Kind.IMAGE_COUNT,
        lines(text(images=[IMAGE])),
        "number of images",
    ),
    fails(
        "a placeholder without an image",
        Kind.IMAGE_COUNT,
        lines(seen(images=[])),
        "number of images",
    ),
    fails(
        "a placeholder in the answer",
        Kind.IMAGE_COUNT,
        lines(seen(messages=turns("<image>", "<image>"))),
        "number of images",
    ),
    fails(
        "images that are not listed",
        Kind.IMAGE_COUNT,
        lines(seen()),
        "number of images",
        entry=entry(columns=without(COLUMNS, "images")),
    ),
    fails(
        "an empty text for no image",
        Kind.IMAGE_COUNT,
        lines(text(images="")),
        "number of images",
    ),
    fails(
        "a word that stands for a video",
        Kind.VIDEO_COUNT,
        lines(text(messages=turns("a", "the tag <video>"))),
        "number of videos",
    ),
    fails(
        "a word that stands for sound",
        Kind.AUDIO_COUNT,
        lines(text(messages=turns("<audio>", "b"))),
        "number of audios",
    ),
    fails(
        "an image that is null",
        Kind.IMAGE_FIELD_INVALID,
        lines(seen(images=[None]), seen()),
        "list of images",
    ),
    fails(
        "null behind an image",
        Kind.IMAGE_FIELD_INVALID,
        lines(seen(messages=turns("<image><image>", "x"), images=[IMAGE, None])),
        "TypeError",
    ),
    fails(
        "an image that is a number",
        Kind.IMAGE_FIELD_INVALID,
        lines(seen(images=[5])),
        "list of images",
    ),
    fails(
        "an image that is a list",
        Kind.IMAGE_FIELD_INVALID,
        lines(seen(images=[[IMAGE]])),
        "list of images",
    ),
    fails(
        "a struct without bytes",
        Kind.IMAGE_STRUCT_INCOMPLETE,
        lines(seen(images=[{"path": IMAGE}])),
        "KeyError: 'bytes'",
    ),
    fails(
        "a Parquet struct without bytes",
        Kind.IMAGE_STRUCT_INCOMPLETE,
        {"rows.parquet": parquet(seen(images=[{"path": IMAGE}]))},
        "KeyError: 'bytes'",
    ),
    fails(
        "a struct of nulls",
        Kind.IMAGE_STRUCT_INCOMPLETE,
        {"rows.parquet": parquet(seen(images=[{"bytes": None, "path": None}]), inside())},
        "AttributeError",
    ),
    fails(
        "a path in a struct",
        Kind.IMAGE_PATH_NOT_JOINED,
        {"rows.parquet": parquet(seen(images=[{"bytes": None, "path": IMAGE}]), inside())},
        "FileNotFoundError",
    ),
    fails(
        "a missing image", Kind.IMAGE_MISSING, lines(seen(images=["no.png"])), "FileNotFoundError"
    ),
    fails(
        "a folder for an image",
        Kind.IMAGE_MISSING,
        {"rows.jsonl": lines(seen(images=["d"])), "d": None},
        "Error",
    ),
    fails(
        "an address for an image",
        Kind.IMAGE_MISSING,
        lines(seen(images=["https://localhost/a.png"])),
        "FileNotFoundError",
    ),
    fails(
        "no picture",
        Kind.IMAGE_UNDECODABLE,
        {"rows.jsonl": lines(seen()), IMAGE: b"<svg/>"},
        "Unidentified",
    ),
    fails(
        "a picture of no bytes",
        Kind.IMAGE_UNDECODABLE,
        {"rows.jsonl": lines(seen()), IMAGE: b""},
        "Unidentified",
    ),
    drops(
        "a picture in 16 bits",
        Kind.IMAGE_SEEN_DIFFERENTLY,
        {"rows.jsonl": lines(seen()), IMAGE: picture(mode="I;16")},
        1,
        step="train",
    ),
    drops(
        "dark text on a transparent background",
        Kind.IMAGE_SEEN_DIFFERENTLY,
        {"rows.jsonl": lines(seen()), IMAGE: save(_dark_text(), "PNG")},
        1,
    ),
    fails(
        "a picture that breaks off",
        Kind.IMAGE_UNDECODABLE,
        {"rows.jsonl": lines(seen()), IMAGE: picture(format="JPEG")[:-200]},
        "OSError",
    ),
    fails(
        "a broken picture in Parquet",
        Kind.IMAGE_UNDECODABLE,
        {"rows.parquet": parquet(seen(images=[{"bytes": b"x", "path": "a"}]))},
        "Unidentified",
    ),
    fails(
        "a picture of 196 megapixels",
        Kind.IMAGE_UNDECODABLE,
        {
            "rows.jsonl": lines(seen()),
            IMAGE: save(canvas((4, 4), "1").resize((14000, 14000)), "PNG"),
        },
        "DecompressionBomb",
    ),
    fails(
        "a thread of a picture",
        Kind.IMAGE_TOO_THIN,
        {"rows.jsonl": lines(seen()), IMAGE: save(canvas((4, 4), "1").resize((1, 700_000)), "PNG")},
        "must be > 0",
    ),
    drops(
        "a picture of 81 megapixels",
        Kind.IMAGE_HUGE,
        {"rows.jsonl": lines(seen()), IMAGE: save(canvas((4, 4), "1").resize((9000, 9000)), "PNG")},
        1,
    ),
    drops(
        "the Image feature",
        Kind.IMAGE_FEATURE,
        {"rows.parquet": parquet(inside(), metadata=IMAGE_FEATURE)},
        1,
    ),
    sound(
        "images in every form",
        {"d/a.parquet": parquet(inside(), seen(images=[{"bytes": picture(), "path": None}]))},
        2,
        step="train",
    ),
    sound(
        "structs of bytes alone",
        {"rows.parquet": parquet(seen(images=[{"bytes": picture()}]))},
        1,
        step="train",
    ),
    sound("bytes alone", {"rows.parquet": parquet(seen(images=[picture()]))}, 1, step="train"),
    sound(
        "one struct, no list",
        {"rows.parquet": parquet(seen(images={"bytes": picture(), "path": "a"}))},
        1,
    ),
    sound("one path, no list", lines(seen(images=IMAGE)), 1),
    sound("a placeholder in the system prompt", lines(seen(system="<image> is a tag")), 1),
    sound(
        "an image used twice",
        lines(seen(messages=turns("<image><image>", "x"), images=[IMAGE] * 2)),
        1,
        step="train",
    ),
    *(
        sound(f"a picture in {name}", {"rows.jsonl": lines(seen()), IMAGE: data}, 1, step="train")
        for name, data in (
            ("PPM", picture(format="PPM")),
            ("a palette", picture(mode="P")),
            ("GIF", picture(mode="P", format="GIF")),
            ("one pixel", picture((1, 1))),
            ("a strip", picture((600, 1))),
        )
    ),
]

# A picture of 48 x 40 has 3 x 3 tokens and two marks: smart_resize brings it to 84 x 84.
TOKENS = [
    *(
        fails(
            f"the token of an image in {name}",
            Kind.IMAGE_TOKEN,
            lines(seen(**{part: value})),
            "do not match",
            step="train",
        )
        for name, part, value in (
            ("a question", "messages", turns("<image> <|image_pad|>", "x")),
            ("an answer", "messages", turns("<image>", "<|image_pad|>")),
            ("the system prompt", "system", "<|image_pad|>"),
        )
    ),
    fails(
        "the token of an image in tools",
        Kind.IMAGE_TOKEN,
        lines(seen(tools='[{"name": "<|image_pad|>"}]')),
        "do not match",
        step="train",
        entry=entry(columns={**COLUMNS, "tools": "tools"}),
    ),
    fails(
        "the token of an image without images",
        Kind.IMAGE_TOKEN,
        lines(text(messages=turns("<|image_pad|>", "x"))),
        "do not match",
        step="train",
    ),
    sound(
        "the token of a video",
        lines(text(messages=turns("<|video_pad|>", "x"))),
        1,
        step="train",
    ),
]

LENGTHS = [
    fails(
        "three images, cut after the first",
        Kind.IMAGE_TOKENS_CUT,
        lines(seen(messages=turns("<image>" * 3, "x"), images=[IMAGE] * 3)),
        "do not match",
        cutoff_len=20,
        step="train",
    ),
    fails(
        "an image behind too many words",
        Kind.IMAGE_TOKENS_CUT,
        lines(seen(messages=turns("word " * 60 + "<image>", "x"))),
        "do not match",
        cutoff_len=50,
        step="train",
    ),
    fails(
        "an image in a later turn",
        Kind.IMAGE_TOKENS_CUT,
        lines(seen(messages=turns("word " * 60, "x", "<image>", "y"))),
        "do not match",
        cutoff_len=50,
        step="train",
    ),
    fails(
        "an image in Parquet",
        Kind.IMAGE_TOKENS_CUT,
        {
            "rows.parquet": parquet(
                seen(
                    messages=turns("<image>" * 3, "x"),
                    images=[{"bytes": picture(), "path": "a"}] * 3,
                )
            )
        },
        "do not match",
        cutoff_len=20,
        step="train",
    ),
    drops(
        "words that are cut",
        Kind.ROW_CUT,
        lines(text(messages=turns("a", "word " * 60))),
        1,
        cutoff_len=50,
        step="train",
    ),
    sound(
        "room for all",
        lines(seen(messages=turns("<image>" * 3, "x"), images=[IMAGE] * 3), text()),
        2,
        cutoff_len=400,
        step="train",
    ),
]
