"""report.html: what went in, what came out and why not all, on one page that opens offline."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from rich.filesize import decimal

from beam_mat.config import Job
from beam_mat.core.reject import Reason
from beam_mat.totals import Totals

_STYLE = """
:root { color-scheme: light dark; --line: #8884; --good: #2a9d5c; --bad: #d0473a; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2rem; }
table { border-collapse: collapse; width: 100%; }
td, th { border-bottom: 1px solid var(--line); padding: .3rem .8rem .3rem 0; text-align: left;
  vertical-align: top; overflow-wrap: anywhere; }
.number { text-align: right; white-space: nowrap; }
.bar { display: flex; height: 1.6rem; border-radius: .3rem; overflow: hidden; }
.bar .good { background: var(--good); } .bar .bad { background: var(--bad); }
.note { opacity: .75; }
"""


def report(job: Job, totals: Totals) -> str:
    """The page, made of the same facts as the manifest. All text from records is escaped."""
    accepted = 100 * totals.accepted / totals.records if totals.records else 0.0
    body = [
        "<h1>beam-mat: conversion report</h1>",
        f"<p>{totals.records:,} records in, {totals.accepted:,} accepted, "
        f"{totals.rejected_records:,} rejected.</p>",
        f'<div class="bar"><div class="good" style="width:{accepted:.2f}%"></div>'
        f'<div class="bad" style="width:{100 - accepted:.2f}%"></div></div>'
        if totals.records
        else "",
        _rejects(totals),
        _images(totals),
        "<h2>Parts</h2>",
        _table(
            ("file", "rows", "with images", "bytes"),
            [
                (part.path, f"{part.rows:,}", f"{part.image_rows:,}", decimal(part.bytes))
                for part in totals.parts[:MAX_PARTS]
            ],
        ),
        _more(len(totals.parts)),
        "<h2>Inputs</h2>",
        _table(
            ("file", "records"),
            [
                *((shard.uri, f"{totals.shard_records[shard.uri]:,}") for shard in job.shards),
                *((source.uri, "images") for source in job.sources),
            ],
        ),
    ]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>beam-mat report</title><style>{_STYLE}</style></head>\n<body>\n"
        + "\n".join(part for part in body if part)
        + "\n</body></html>\n"
    )


MAX_PARTS = 200


def _more(count: int) -> str:
    if count <= MAX_PARTS:
        return ""
    return f'<p class="note">… and {count - MAX_PARTS:,} more: see manifest.json.</p>'


def _rejects(totals: Totals) -> str:
    if not totals.rejected:
        return ""
    rows = []
    for reason in Reason:
        found = totals.rejected.get(reason)
        if found:
            first = found.first
            place = f"{first.source} record {first.index}, bytes {first.start} to {first.end}"
            detail = first.detail[:500]
            rows.append((reason.value, f"{found.count:,}", reason.sentence, f"{place}: {detail}"))
    table = _table(("reason", "records", "what it means, what to do", "the first of them"), rows)
    return f"<h2>Rejected</h2>{table}"


def _images(totals: Totals) -> str:
    images = totals.images
    rows = [(status, f"{count:,}") for status, count in images.status.items()]
    rows += [
        ("bytes before", decimal(images.source_bytes)),
        ("bytes after", decimal(images.bytes)),
    ]
    return f"<h2>Images</h2>{_table(('', 'number'), rows)}"


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    numeric = {"records", "rows", "with images", "bytes", "number"}
    kinds = [' class="number"' if head in numeric else "" for head in heads]

    def line(tag: str, cells: Sequence[str]) -> str:
        marked = zip(kinds, cells, strict=True)
        return "".join(f"<{tag}{kind}>{escape(cell)}</{tag}>" for kind, cell in marked)

    body = "".join(f"<tr>{line('td', row)}</tr>\n" for row in rows)
    return f"<table><thead><tr>{line('th', heads)}</tr></thead><tbody>\n{body}</tbody></table>"
