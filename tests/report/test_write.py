"""report.html: one file, with nothing in it that a record wrote but text."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import pytest

from beam_mat.core.reject import Reason
from beam_mat.core.statistics import PixelBoxes
from beam_mat.dataset.views import read_manifest
from beam_mat.report import examples as shown_examples
from beam_mat.report.examples import MAX_SYSTEM, MAX_SYSTEMS, Findings
from beam_mat.report.write import render
from tests import outputs as dataset
from tests.command import convert_words, run
from tests.making import image_record, picture, record, write_shard, write_zip

HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</td></table><h1>",
    "{{ 7654321 * 1234567 }}{% raw %}",
    "line\u2028paragraph\u2029]]>--><!--",
    "&amp; \ud800",
)


class Page(HTMLParser):
    """Tags, attributes and text of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.names: set[str] = set()
        self.links: list[str] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.names |= {name for name, _ in attrs}
        self.links += [value or "" for name, value in attrs if name in ("src", "href")]

    def handle_data(self, data: str) -> None:
        self.text += data


def read(output: Path) -> Page:
    return Page((output / "report.html").read_text("utf-8"))


@pytest.fixture
def findings(made_up_output: Path) -> Findings:
    return msgspec.json.decode((made_up_output / "statistics.json").read_bytes(), type=Findings)


def rendered(output: Path, found: Findings) -> str:
    manifest = read_manifest(str(output))
    assert manifest
    return render(manifest, found, shown_examples.thumbnails(str(output), found.examples))


def test_the_report_tells_what_the_manifest_tells(made_up_output: Path) -> None:
    page = read(made_up_output)
    manifest = dataset.manifest(made_up_output)
    for reason in manifest["counts"]["rejected_by_reason"]:
        assert Reason(reason).sentence in page.text
    for part in manifest["parts"]:
        assert part["path"] in page.text
    for source in manifest["inputs"]["json"] + manifest["inputs"]["images"]:
        assert source["uri"] in page.text


def test_boxes_that_may_not_fit_are_named(made_up_output: Path, findings: Findings) -> None:
    statistics = msgspec.structs.replace(findings.records, pixel_boxes=PixelBoxes(2, ("-<a> b",)))
    found = msgspec.structs.replace(findings, records=statistics)
    page = rendered(made_up_output, found)
    assert "2 accepted records have resized images" in page
    assert "beam-mat show OUTPUT &#39;--id=-&lt;a&gt; b&#39;" in page


@pytest.mark.parametrize("nasty", HOSTILE)
def test_what_a_record_holds_is_text_and_nothing_else(tmp_path: Path, nasty: str) -> None:
    records = [
        image_record(nasty, f"{nasty}.jpg"),
        image_record(f"{nasty}2", "a.jpg", question=nasty, answer=nasty, system=nasty),
        record("1", answer=""),
    ]
    records[2]["conversations"][1]["role"] = nasty
    shard = write_shard(tmp_path / "mat.json", records)
    zipped = write_zip(tmp_path / "files.zip", {"a.jpg": picture()})
    output = tmp_path / "out"
    run(*convert_words(shard, zipped, output))
    page = read(output)
    assert page.tags.count("h1") == page.tags.count("script") == 1
    assert "img" not in page.tags
    assert not {name for name in page.names if name.startswith("on") or name == "style"}
    # Long enough that no name, digest or size in the page holds it by chance.
    assert str(7654321 * 1234567) not in page.text
    if "\ud800" not in nasty:
        assert nasty in page.text


def test_the_report_opens_offline(made_up_output: Path) -> None:
    links = read(made_up_output).links
    assert {re.match(r"#|data:image/jpeg;base64,|data:,$", link) is not None for link in links} == {
        True
    }


def test_only_the_pages_own_style_and_script_are_allowed(made_up_output: Path) -> None:
    html = (made_up_output / "report.html").read_text("utf-8")
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', html)
    assert policy
    assert policy[1].startswith("default-src 'none'; ")
    assert "unsafe" not in policy[1]
    for tag in ("style", "script"):
        (text,) = re.findall(rf"<{tag}>(.*?)</{tag}>", html, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy[1]


def test_the_same_data_give_the_same_page(made_up_output: Path, findings: Findings) -> None:
    page = (made_up_output / "report.html").read_text("utf-8")
    assert rendered(made_up_output, findings) == rendered(made_up_output, findings) == page


def test_examples_without_room_are_left_out_and_counted(
    made_up_output: Path, findings: Findings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shown_examples, "MAX_BYTES", 120_000)
    html = rendered(made_up_output, findings)
    assert len(html) < 220_000
    shown = html.count('data-kind="accepted"')
    assert 0 < shown < len(findings.examples)
    assert f"{len(findings.examples) - shown} of them did not fit on this page." in html


def test_the_largest_examples_keep_the_page_within_five_megabytes(
    made_up_output: Path, findings: Findings
) -> None:
    turn = findings.examples[0].turns[0]
    long = msgspec.structs.replace(turn, text='"<&>' * 750)
    example = msgspec.structs.replace(findings.examples[0], turns=(long,) * 40)
    examples = tuple(msgspec.structs.replace(example, id=f"i{n}") for n in range(120))
    largest = msgspec.structs.replace(
        findings, examples=examples, systems=("&" * MAX_SYSTEM,) * MAX_SYSTEMS
    )
    html = rendered(made_up_output, largest)
    assert len(html.encode()) < 5_000_000


def test_a_dataset_of_nothing_has_a_report(tmp_path: Path) -> None:
    shard = write_shard(tmp_path / "mat.json", [])
    output = tmp_path / "out"
    assert run(*convert_words(shard, write_zip(tmp_path / "files.zip", {}), output)).code == 3
    assert "The input has no records." in read(output).text


def test_a_dataset_without_an_accepted_record_has_a_report(tmp_path: Path) -> None:
    shard = write_shard(tmp_path / "mat.json", [5, image_record("i", "gone.jpg")])
    output = tmp_path / "out"
    assert run(*convert_words(shard, write_zip(tmp_path / "files.zip", {}), output)).code == 3
    assert "No record was accepted." in read(output).text
