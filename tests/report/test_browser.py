"""The report as a person meets it: in a real browser, by eye, mouse and keyboard."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pytest

from tests import outputs as dataset
from tests.command import converted
from tests.making import image_record, picture, record, write_shard, write_zip

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser

Scheme = Literal["light", "dark"]
Open = Callable[..., "Page"]
CARDS = "document.querySelectorAll('.card:not([hidden])')"
HOSTILE = (
    "</script><script>document.title='run'</script><img src=http://x.invalid/ onerror=alert(1)>"
)


@pytest.fixture
def opened(browser: Browser) -> Iterator[Open]:
    """Opens a report. What goes wrong in it, and what it asks of others, fails the test."""
    wrong: list[str] = []
    contexts = []

    def open_(output: Path, width: int = 1280, scheme: Scheme = "light", **options: Any) -> Page:
        context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, **options
        )
        contexts.append(context)
        page = context.new_page()
        address = (output / "report.html").as_uri()
        page.on("console", lambda said: wrong.append(said.text))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("dialog", lambda dialog: wrong.append(dialog.message))
        page.on(
            "request",
            lambda asked: (
                None if asked.url.startswith((address, "data:")) else wrong.append(asked.url)
            ),
        )
        page.goto(address)
        return page

    yield open_
    for context in contexts:
        context.close()
    assert wrong == []


def number(text: str | None) -> int:
    return int((text or "").replace(",", ""))


def ids(page: Page) -> list[str]:
    """Ids of the records that are shown."""
    found: list[str] = page.evaluate(f"[...{CARDS}].map((card) => card.dataset.id)")
    return found


def data(page: Page, name: str) -> set[str]:
    found: list[str] = page.evaluate(f"[...{CARDS}].map((card) => card.dataset.{name} ?? '')")
    return set(found)


def test_the_page_shows_the_counts_of_the_manifest(opened: Open, made_up_output: Path) -> None:
    page = opened(made_up_output)
    counts = dataset.manifest(made_up_output)["counts"]
    for name in ("records", "accepted", "rejected"):
        assert number(page.text_content(f"#count-{name}")) == counts[name]
    usable = {"kept", "resized", "converted"}
    assert number(page.text_content("#count-images")) == sum(
        count for status, count in counts["images"].items() if status in usable
    )
    branches = page.locator(".flow li").all()
    accepted, *rejected = [branch.locator("b").text_content() for branch in branches]
    assert number(accepted) == counts["accepted"]
    names = page.locator(".flow li a").all_text_contents()
    assert dict(zip(names, map(number, rejected), strict=True)) == counts["rejected_by_reason"]
    assert page.locator(".flow path").count() == len(counts["rejected_by_reason"]) + 1


def test_the_tables_show_what_the_dataset_holds(opened: Open, made_up_output: Path) -> None:
    page = opened(made_up_output)

    def table(name: str) -> dict[str, list[str]]:
        rows = page.locator(f"#{name} tbody tr").all()
        cells = [row.locator("td").all_text_contents() for row in rows]
        return {first: rest for first, *rest in cells}

    counts = dataset.manifest(made_up_output)["counts"]
    assert {row: number(cells[0]) for row, cells in table("statuses").items()} == counts["images"]
    found = {row: number(cells[0]) for row, cells in table("reasons").items()}
    assert found == counts["rejected_by_reason"]
    statistics = json.loads((made_up_output / "statistics.json").read_bytes())
    tools = {
        row: [number(cells[0]), number(cells[2])] for row, cells in table("tool-table").items()
    }
    assert tools == statistics["records"]["tools"]
    assert table("formats").keys() == statistics["images"]["formats_before"].keys()


def test_a_search_finds_a_record_by_its_id(opened: Open, made_up_output: Path) -> None:
    page = opened(made_up_output)
    wanted = json.loads((made_up_output / "statistics.json").read_bytes())["examples"][3]["id"]
    page.fill("#search", wanted.upper())
    assert wanted in ids(page)
    assert len(ids(page)) < 4
    page.fill("#search", "nothing holds these words")
    assert ids(page) == []
    assert page.locator("#none").is_visible()
    page.click("button[type=reset]")
    page.wait_for_function(f"{CARDS}.length > 4")


def test_records_are_filtered_by_kind_tool_and_reason(opened: Open, made_up_output: Path) -> None:
    page = opened(made_up_output)
    page.select_option("#kind", "rejected")
    assert data(page, "kind") == {"rejected"}
    page.select_option("#reason", "image_missing")
    assert data(page, "reason") == {"image_missing"}
    page.select_option("#kind", "")
    page.select_option("#reason", "")
    page.select_option("#tool", "search")
    assert data(page, "tools")
    assert all("search" in tools.split() for tools in data(page, "tools"))
    page.select_option("#kind", "rejected")
    assert ids(page) == []


def test_every_reason_and_tool_leads_to_its_examples(opened: Open, made_up_output: Path) -> None:
    page = opened(made_up_output)
    for reason in dataset.manifest(made_up_output)["counts"]["rejected_by_reason"]:
        page.locator(f"#reasons a[data-show-reason={reason}]").click()
        assert data(page, "reason") == {reason}
    for link in page.locator("#tool-table a").all():
        link.click()
        assert all(link.text_content() in tools.split() for tools in data(page, "tools"))
        assert ids(page)


def test_a_button_shows_all_that_fit(opened: Open, made_up_output: Path) -> None:
    page = opened(made_up_output)
    few = len(ids(page))
    assert few < page.locator(".card").count()
    page.click("#more")
    assert len(ids(page)) == page.locator(".card").count()
    assert not page.locator("#more").is_visible()


def test_the_page_can_be_used_by_keyboard(opened: Open, made_up_output: Path) -> None:
    page = opened(made_up_output)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "search"
    page.keyboard.type("final_answer")
    for _ in range(20):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.matches('.card > summary')"):
            break
    page.keyboard.press("Enter")
    assert page.locator(".card[open] .turn").first.is_visible()
    page.locator("#search").focus()
    page.keyboard.press("Escape")
    assert page.input_value("#search") == ""


def test_a_trajectory_is_drawn_as_a_conversation_with_its_pictures(
    opened: Open, made_up_output: Path
) -> None:
    page = opened(made_up_output)
    rows = dataset.rows(made_up_output) + dataset.rows(made_up_output, "val")
    card = page.locator(".card[data-kind=accepted]:has(.strip)").first
    card.locator("summary").click()
    name = card.get_attribute("data-id")
    row = next(row for row in rows if row["id"] == name)
    assert card.locator(".turn").count() == len(row["messages"])
    labels = card.locator(".turn .picture").evaluate_all(
        "(all) => all.map((one) => one.getAttribute('aria-label'))"
    )
    table = dataset.image_files(made_up_output)
    assert labels == [table[file]["path"] for file in row["images"]]
    size = card.locator(".turn .picture use").first.bounding_box()
    assert size
    assert size["width"] > 50


def test_the_cutoff_moves(opened: Open, tmp_path: Path) -> None:
    paths = [f"{n}.jpg" for n in range(9)]
    many = record("many", image=json.dumps({f"<image_0{n}>": p for n, p in enumerate(paths)}))
    many["conversations"][1]["content"] = "".join(f"<image_0{n}>" for n in range(9))
    shard = write_shard(tmp_path / "mat.json", [many, image_record("one", "0.jpg")])
    zipped = write_zip(
        tmp_path / "files.zip", {p: picture((512, 512), n) for n, p in enumerate(paths)}
    )
    page = opened(converted(shard, zipped, tmp_path / "out"))
    over = page.locator(".tokens .over")
    assert over.all_text_contents() == ["0", "0"]
    page.select_option("#cutoff", "2048")
    assert over.all_text_contents() == ["1", "1"]
    assert page.locator(".tokens .bar.beyond").count() == 2


@pytest.mark.parametrize("script", [True, False])
def test_a_hostile_record_is_shown_as_text(opened: Open, tmp_path: Path, script: bool) -> None:
    records = [
        image_record(HOSTILE, "a.jpg", question=HOSTILE, answer=f"{HOSTILE}\u2028", system=HOSTILE),
        image_record(f"{HOSTILE}2", f"{HOSTILE}.jpg"),
        record("1", answer=""),
    ]
    records[2]["conversations"][1]["role"] = HOSTILE
    shard = write_shard(tmp_path / "mat.json", records)
    zipped = write_zip(tmp_path / "files.zip", {"a.jpg": picture()})
    page = opened(converted(shard, zipped, tmp_path / "out"), java_script_enabled=script)
    assert "run" not in page.title().split()
    for card in page.locator(".card").all():
        card.locator("summary").click()
    assert page.locator("img").count() == 0
    shown = page.locator(".turn.user").inner_text()
    assert HOSTILE in shown
    assert page.locator(".card code", has_text=HOSTILE).count() >= 2


@pytest.mark.parametrize(
    ("width", "scheme"), [*itertools.product((320, 400, 900, 1400), ("light", "dark"))]
)
def test_it_fits_the_screen(opened: Open, made_up_output: Path, width: int, scheme: Scheme) -> None:
    page = opened(made_up_output, width, scheme)
    page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    colours = page.evaluate(
        "(({color, backgroundColor}) => [color, backgroundColor])(getComputedStyle(document.body))"
    )
    light = [sum(int(part) for part in colour[4:-1].split(",")) for colour in colours]
    assert (light[0] < light[1]) == (scheme == "light")


def test_without_script_everything_is_shown(opened: Open, made_up_output: Path) -> None:
    page = opened(made_up_output, java_script_enabled=False)
    assert page.locator(".card").count() == page.locator(".card:not([hidden])").count() > 20
    assert not page.locator("#filter").is_visible()
    assert page.locator("#more").is_hidden()
