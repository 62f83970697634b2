"""The environment of the page's templates. They escape all values."""

from __future__ import annotations

import functools
import hashlib

from jinja2 import Environment, PackageLoader, StrictUndefined
from rich.filesize import decimal

from beam_mat.core.reject import Reason
from beam_mat.report.charts import HEIGHT, WIDTH, chart
from beam_mat.report.conversation import pieces, speaker


@functools.cache
def environment() -> Environment:
    """The Jinja environment for the templates in this folder."""
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
        "size": decimal,
        "share": _share,
        "picture_id": _picture_id,
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
    """The HTML id of an image."""
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
