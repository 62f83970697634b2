"""Draws the page: a template, a style sheet and a script become one file.

All that a record or a name holds reaches the page through the template, which escapes it. Style and
script are constants, and the page's Content-Security-Policy names them by their hashes: nothing
else can be run or fetched, whatever a record holds.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Mapping
from importlib import resources
from typing import NamedTuple

from beam_mat.core.histogram import Histogram
from beam_mat.core.image import Action
from beam_mat.core.image_statistics import Amount
from beam_mat.core.reject import Reason
from beam_mat.core.statistics import Statistics
from beam_mat.report import gallery, template
from beam_mat.report.charts import at_least
from beam_mat.report.flow import flow
from beam_mat.report.read import ReportData

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
    counts = data.manifest.counts
    pixels = [*found.images.pixels_before, *found.images.pixels_after] or [0]
    style, script = _text("style.css"), _text("script.js")
    shown = gallery.draw(data)
    rejected = dict(sorted(counts["rejected_by_reason"].items(), key=lambda item: -item[1]))
    done = [action.value for action in Action]
    return (
        template.environment()
        .get_template("page.html")
        .render(
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
            cards=shown.cards,
            pictures=shown.pictures,
            left_out=len(found.examples) + len(found.rejects) - len(shown.cards),
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
    )


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


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _text(name: str) -> str:
    return resources.files(__package__ or "").joinpath(name).read_text(encoding="utf-8")
