"""The case of the report: its size for all records, and the time to load it in a browser."""

import contextlib
import shutil
import subprocess
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from cache import fresh_folder
from comparison import MB, Case, Figure, Results, Side

if TYPE_CHECKING:
    from cases import Setup

LOADS = 5
LOADED = "performance.getEntriesByType('navigation')[0].loadEventEnd"
"""Milliseconds from the start of the navigation to the end of the load event."""
SWITCHES = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]


class Report:
    """A dataset of all records, and the measurements of its report."""

    def __init__(self, convert: list[str]) -> None:
        self._convert = convert
        self.output = Path()
        self.bytes = 0
        self.load_seconds: list[float] = []

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        with fresh_folder() as folder:
            self.output = folder / "dataset"
            words = [*self._convert, "--output", str(self.output)]
            subprocess.run(words, check=True, capture_output=True)
            page = self.output / "report.html"
            self.bytes = page.stat().st_size
            self.load_seconds = _loads(page)
            yield


def _loads(page: Path) -> list[float]:
    from playwright.sync_api import sync_playwright

    took = []
    with sync_playwright() as playwright:
        chromium = shutil.which("chromium")
        browser = playwright.chromium.launch(executable_path=chromium, args=SWITCHES)
        for _ in range(LOADS):
            tab = browser.new_page()
            tab.goto(page.as_uri())
            took.append(tab.evaluate(LOADED) / 1000)
            tab.close()
        browser.close()
    return took


def page(setup: "Setup") -> Case:
    title = "The report of all records"
    if not shutil.which("chromium") or not find_spec("playwright"):
        missing = ["not run: Chromium or Playwright is missing (scripts/browser installs them)"]
        return Case("page", title, "records", [], [], lambda _: [], missing)
    count = setup.count(57_000)
    data = setup.sources.records(count, setup.count(17_500))
    shard, archive = str(data.json), str(data.zip)
    report = Report([str(setup.beam_mat), "convert", "--json", shard, "--images", archive])
    side = Side("report", lambda _: [str(setup.beam_mat), "report", str(report.output)])

    def figures(_: Results) -> list[Figure]:
        return [
            Figure("size of report.html", report.bytes / MB, "MB", 5),
            Figure("load in Chromium", median(report.load_seconds), "s", 1),
        ]

    notes = [f"{count:,} records from {data.origin}; {LOADS} loads of the page"]
    inputs = [data.json, data.zip]
    return Case("page", title, "records", inputs, [side], figures, notes, report.running)
