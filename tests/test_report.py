"""report.html: the facts of the manifest on one page, and nothing in it that a record wrote."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

import pytest

from beam_mat.core.reject import Reason
from tests import dataset
from tests.command import converted
from tests.making import image_record, record, write_shard, write_zip


class Page(HTMLParser):
    """Tags and text of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [f"{name}={value}" for name, value in attrs if name in ("src", "href")]

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_report_tells_what_the_manifest_tells(made_up_output: Path) -> None:
    page = Page((made_up_output / "report.html").read_text("utf-8"))
    manifest = dataset.manifest(made_up_output)
    counts = manifest["counts"]
    assert (
        f"{counts['records']:,} records in, {counts['accepted']:,} accepted, "
        f"{counts['rejected']:,} rejected."
    ) in page.text
    for reason in counts["rejected_by_reason"]:
        assert Reason(reason).sentence in page.text
    for part in manifest["parts"]:
        assert part["path"] in page.text
    for shard in manifest["inputs"]["json"]:
        assert shard["uri"] in page.text


@pytest.mark.parametrize(
    "nasty", ["<script>alert(1)</script>", "</td></table><h1>", "&amp; \ud800"]
)
def test_what_a_record_holds_is_text_and_nothing_else(tmp_path: Path, nasty: str) -> None:
    records = [image_record(nasty, f"{nasty}.jpg"), record("1", answer="")]
    records[1]["conversations"][1]["role"] = nasty
    shard = write_shard(tmp_path / "mat.json", records)
    output = converted(shard, write_zip(tmp_path / "files.zip", {}), tmp_path / "out")
    page = Page((output / "report.html").read_text("utf-8"))
    assert page.tags.count("h1") == 1
    assert "script" not in page.tags
    assert len(dataset.rejects(output)) == 2


def test_the_report_opens_offline(made_up_output: Path) -> None:
    assert Page((made_up_output / "report.html").read_text("utf-8")).links == []
