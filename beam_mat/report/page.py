"""Draws the page: a template, a style sheet and a script become one file.

All that a record or a name holds reaches the page through the template, which escapes it. Style and
script are constants, and the page's Content-Security-Policy names them by their hashes: nothing
else can be run or fetched, whatever a record holds.
"""

from __future__ import annotations

import base64
import functools
import hashlib
from collections.abc import Iterator, Mapping
from importlib import resources
from typing import Any, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined
from rich.filesize import decimal

from beam_mat.core.image import Action
from beam_mat.core.reject import Reason
from beam_mat.core.statistics import Amount, Histogram, Statistics
from beam_mat.report.charts import HEIGHT, WIDTH, at_least, chart
from beam_mat.report.conversation import pieces, speaker
from beam_mat.report.flow import flow
from beam_mat.report.read import ReportData, images_of
from beam_mat.report.thumbnail import Thumbnail

MAX_BYTES = 4_500_000
"""Of the page: examples that find no room are left out."""
MAX_PARTS = 200
MAX_TOOLS = 30
CUTOFFS = (2048, 4096, 8192, 10240, 16384, 32768)
"""Of `cutoff_len`; LLaMA-Factory's default is the first."""
CUTOFF = 10240
"""The one in the trainer's presets."""


def render(data: ReportData) -> str:
    """The page. The same data give the same page, byte by byte.

    Args:
        data: What `beam_mat.report.read` or `collect` returns.
    """
    found = data.findings
    environment = _environment()
    counts = data.manifest.counts
    pixels = [*found.images.pixels_before, *found.images.pixels_after] or [0]
    style, script = _text("style.css"), _text("script.js")
    gallery = _gallery(environment, data)
    rejected = dict(sorted(counts["rejected_by_reason"].items(), key=lambda item: -item[1]))
    done = [action.value for action in Action]
    return environment.get_template("page.html").render(
        manifest=data.manifest,
        counts=counts,
        usable=sum(counts["images"].get(action, 0) for action in done),
        statuses=dict(sorted(counts["images"].items(), key=lambda item: item[0] not in done)),
        first_of={reject.reason.value: reject for reject in reversed(found.rejects)},
        reasons={reason.value for reason in Reason},
        min_pixels=min(pixels),
        max_pixels=max(pixels),
        found=found,
        flow=flow(counts["accepted"], rejected),
        rejected=rejected,
        cards=gallery.cards,
        pictures=gallery.pictures,
        left_out=len(found.examples) + len(found.rejects) - len(gallery.cards),
        tools=list(found.records.tools.items())[:MAX_TOOLS],
        shown_tools=sorted({tool for example in found.examples for tool in example.tools}),
        tokens=list(_tokens(found.records)),
        cutoffs=CUTOFFS,
        cutoff=CUTOFF,
        formats=_formats(found.images.formats_before, found.images.formats_after),
        parts=data.manifest.parts[:MAX_PARTS],
        style=style,
        script=script,
        style_hash=_hash(style),
        script_hash=_hash(script),
    )


@functools.cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("beam_mat.report", ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "number": "{:,}".format,
        "about": _about,
        "size": decimal,
        "share": _share,
        "picture_id": _picture_id,
        "name": lambda uri: uri.rsplit("/", 1)[-1],
    }
    environment.globals |= {
        "Reason": Reason,
        "chart": chart,
        "pieces": pieces,
        "speaker": speaker,
        "chart_width": WIDTH,
        "chart_height": HEIGHT,
    }
    return environment


class Gallery(NamedTuple):
    """The examples that find room on the page.

    Attributes:
        cards: Each one drawn, accepted records first.
        pictures: The small pictures that they refer to, by the path of the image.
    """

    cards: list[str]
    pictures: dict[str, Thumbnail]


def _gallery(environment: Environment, data: ReportData) -> Gallery:
    draw: Any = environment.get_template("card.html").module
    # Of rejected records there are few, and short.
    rejected = [draw.rejected(reject) for reject in data.findings.rejects]
    room = MAX_BYTES - sum(map(_size, rejected))
    accepted: list[str] = []
    pictures: dict[str, Thumbnail] = {}
    # Pictures first: they are what one wants to see.
    examples = sorted(data.findings.examples, key=lambda example: example.images == 0)
    for example in examples:
        own = {
            path: data.thumbnails[path] for path in images_of(example) if path in data.thumbnails
        }
        card = draw.accepted(example, own)
        new = {path: small for path, small in own.items() if path not in pictures}
        size = _size(card) + sum(len(small.url) + 100 for small in new.values())
        if size <= room:
            room -= size
            pictures |= new
            accepted.append(card)
    return Gallery(accepted + rejected, pictures)


def _size(text: str) -> int:
    return len(text.encode("utf-8", "backslashreplace"))


class FormatRow(NamedTuple):
    """Images of one format, before and after."""

    format: str
    before: Amount
    after: Amount


def _formats(before: Mapping[str, Amount], after: Mapping[str, Amount]) -> list[FormatRow]:
    names = sorted({*before, *after})
    return [FormatRow(n, before.get(n, Amount()), after.get(n, Amount())) for n in names]


class TokenChart(NamedTuple):
    """Tokens that images take, for one family of models.

    Attributes:
        models: The family.
        histogram: Of the rows with images.
        over: By cutoff, how many rows have images that fill it alone.
    """

    models: str
    histogram: Histogram
    over: dict[int, int]


def _tokens(records: Statistics) -> Iterator[TokenChart]:
    for models, counted in (
        ("Qwen2-VL, Qwen2.5-VL", records.qwen2_vl_tokens),
        ("Qwen3-VL", records.qwen3_vl_tokens),
    ):
        rows = {least: count for least, count in counted.items() if least}
        yield TokenChart(models, rows, {cutoff: at_least(rows, cutoff) for cutoff in CUTOFFS})


def _about(value: int) -> str:
    """A bucket of a histogram as a number: exact where buckets are, else with two digits.

    >>> _about(40), _about(249_856)
    ('40', '250,000')
    """
    if value < 64:
        return str(value)
    size = 10 ** (len(str(value)) - 2)
    return f"{round(value / size) * size:,}"


def _picture_id(path: str) -> str:
    """The name of a picture within the page."""
    return "p" + hashlib.sha256(path.encode("utf-8", "backslashreplace")).hexdigest()[:10]


def _share(part: int, whole: int) -> str:
    """A percentage that is 0 or 100 only where it is so exactly.

    >>> _share(1, 8), _share(99_999, 100_000), _share(0, 0)
    ('12.5 %', '> 99.9 %', '0 %')
    """
    if not part or not whole:
        return "0 %"
    if part == whole:
        return "100 %"
    percent = 100 * part / whole
    if percent < 0.1:
        return "< 0.1 %"
    return "> 99.9 %" if percent > 99.9 else f"{percent:.1f} %"


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _text(name: str) -> str:
    return resources.files(__package__ or "").joinpath(name).read_text(encoding="utf-8")
