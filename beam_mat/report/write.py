"""Renders report.html from templates, and writes it and statistics.json to a dataset.

The templates escape all text from records and file names, and the page's Content-Security-Policy
allows only the hashes of style sheet and script. The browser therefore runs and fetches nothing
else, whatever a record contains.
"""

import base64
import functools
import hashlib
import shlex
from collections.abc import Mapping
from importlib import resources

import msgspec
from jinja2 import Environment, PackageLoader, StrictUndefined
from rich.filesize import decimal

from beam_mat.core import layout
from beam_mat.core.errors import ConfigError
from beam_mat.core.image import Action, Note
from beam_mat.core.reject import Reason
from beam_mat.core.statistics import Amount, Statistics
from beam_mat.core.thumbnail import Thumbnail
from beam_mat.dataset import image_table, log
from beam_mat.dataset.commit import WATCH, Snapshot, in_order
from beam_mat.dataset.views import Manifest, read_manifest
from beam_mat.report.charts import HEIGHT, WIDTH, at_least, chart, flow
from beam_mat.report.examples import (
    Findings,
    draw,
    find,
    pieces,
    speaker,
    thumbnails,
)
from beam_mat.storage import files, inputs

MAX_TOOLS = 30
CUTOFFS = (2048, 4096, 8192, 10240, 16384, 32768)
"""Values of `cutoff_len` to choose from. The first one is LLaMA-Factory's default."""
CUTOFF = 10240
"""The value in the trainer's presets."""


def write_of(output: str, manifest: Manifest, snapshot: Snapshot) -> None:
    """Writes statistics.json and report.html of the newest generation.

    The dataset must contain the images already, but not yet the manifest.
    """
    statistics = Statistics()
    for shard in in_order(snapshot.shards.values()):
        statistics.merge(shard.statistics)
    # The inputs may have been cleared away since. A deleted shard cannot be read again.
    named = {one.source for one in statistics.samples}
    named |= {one.source for one in statistics.rejects}
    shards = {uri: snapshot.shards[uri] for uri in named}
    there = {uri for uri, one in shards.items() if not inputs.change(one.shard)}
    statistics.samples = [one for one in statistics.samples if one.source in there]
    statistics.rejects = [one for one in statistics.rejects if one.source in there]
    rewrites = tuple((old, new) for old, new in manifest.configuration["rewrite"])
    found = find(statistics, image_table.statistics(output, snapshot.images), rewrites, shards)
    _write(output, layout.STATISTICS, msgspec.json.encode(found) + b"\n")
    _write_page(output, manifest, found)


def make_again(output: str) -> str:
    """Makes the report of a finished dataset again, and returns its URI.

    Raises BeamMatError if there is no dataset, or the report cannot be written.
    """
    manifest = read_manifest(output)
    if manifest is None:
        fault = f"{output} has no {layout.MANIFEST}, so it is not a finished dataset"
        raise ConfigError([f"{fault}; run beam-mat convert until it finishes"])
    files.protect(output)
    if manifest.command == WATCH:
        write_of(output, manifest, log.snapshot(output))
    else:
        _write_page(output, manifest, _read(output))
    files.prune(files.join(output, layout.SCRATCH))
    return files.join(output, layout.REPORT)


def _read(output: str) -> Findings:
    uri = files.join(output, layout.STATISTICS)
    cure = "run the same beam-mat convert command again with --overwrite"
    try:
        return msgspec.json.decode(files.read_bytes(uri), type=Findings)
    except FileNotFoundError:
        raise ConfigError([f"{uri} does not exist; {cure}"]) from None
    except msgspec.DecodeError as error:
        why = f"was not written by this version of beam-mat ({error})"
        raise ConfigError([f"{uri} {why}; {cure}"]) from error


def _write_page(output: str, manifest: Manifest, found: Findings) -> None:
    page = render(manifest, found, thumbnails(output, found.examples))
    _write(output, layout.REPORT, page.encode("utf-8", "backslashreplace"))


def _write(output: str, name: str, data: bytes) -> None:
    files.write_bytes(files.join(output, name), data, files.join(output, layout.SCRATCH))


def render(manifest: Manifest, found: Findings, small: Mapping[str, Thumbnail]) -> str:
    """Renders the page. The same data give the same bytes.

    `small` has the images of the examples that can be read, by path.
    """
    counts = manifest.counts
    templates = _environment()
    cards, pictures = draw(found, small, templates.get_template("card.html").module)
    rejected = dict(sorted(counts["rejected_by_reason"].items(), key=lambda item: -item[1]))
    done = [action.value for action in Action]
    before, after, none = found.images.formats_before, found.images.formats_after, Amount()
    formats = sorted({*before, *after})
    tokens = {
        "Qwen2-VL, Qwen2.5-VL": found.records.qwen2_vl_tokens,
        "Qwen3-VL": found.records.qwen3_vl_tokens,
    }
    return templates.get_template("page.html").render(
        manifest=manifest,
        counts=counts,
        usable=sum(counts["images"].get(action, 0) for action in done),
        statuses=dict(sorted(counts["images"].items(), key=lambda item: item[0] not in done)),
        first_of={reject.reason.value: reject for reject in reversed(found.rejects)},
        seen={note.value: note.sentence for note in Note},
        reasons={reason.value for reason in Reason},
        pixels=[*found.images.pixels_before, *found.images.pixels_after],
        found=found,
        flow=flow(counts["accepted"], rejected),
        rejected=rejected,
        cards=cards,
        pictures=pictures,
        left_out=len(found.examples) + len(found.rejects) - len(cards),
        tools=list(found.records.tools.items())[:MAX_TOOLS],
        shown_tools=sorted({tool for example in found.examples for tool in example.tools}),
        # Only the records with images.
        tokens={name: {n: rows for n, rows in all.items() if n} for name, all in tokens.items()},
        cutoffs=CUTOFFS,
        cutoff=CUTOFF,
        formats=[(name, before.get(name, none), after.get(name, none)) for name in formats],
        style=_text("style.css"),
        script=_text("script.js"),
    )


def _text(name: str) -> str:
    return resources.files(__package__ or "").joinpath(name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


@functools.cache
def _environment() -> Environment:
    """The Jinja environment for the templates in this folder. They escape all values."""
    made = Environment(
        loader=PackageLoader("beam_mat.report", ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters |= {
        "number": "{:,}".format,
        "about": _about,
        "at_least": at_least,
        "hash": _hash,
        "size": decimal,
        "share": _share,
        "picture_id": _picture_id,
        "quote": shlex.quote,
        "name": lambda uri: uri.rsplit("/", 1)[-1],
    }
    made.globals |= {
        "Reason": Reason,
        "chart": chart,
        "pieces": pieces,
        "speaker": speaker,
        "chart_width": WIDTH,
        "chart_height": HEIGHT,
    }
    return made


def _about(value: int) -> str:
    """A histogram's bucket as text: exact if the bucket has one value, otherwise two digits.

    >>> _about(40), _about(249_856)
    ('40', '250,000')
    """
    if value < 64:
        return str(value)
    size = 10 ** (len(str(value)) - 2)
    return f"{round(value / size) * size:,}"


def _picture_id(path: str) -> str:
    return "p" + hashlib.sha256(path.encode("utf-8", "backslashreplace")).hexdigest()[:10]


def _share(part: int, whole: int) -> str:
    """A percentage. It is 0 or 100 only if that is the exact value.

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
