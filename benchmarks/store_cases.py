"""What it costs that a zip lies on a store: requests and bytes, and the time that answers take."""

import contextlib
import json
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from cache import HERE
from comparison import MB, Case, Figure, Results, Side, seconds
from inputs import Dataset

if TYPE_CHECKING:
    from cases import Setup

from tests.stands import reach, servers
from tests.stands.proxy import Faults, Proxy, proxied

DELAY_SECONDS = 0.05
ZIP = "gs://bench/files.zip"


class Stand:
    """An emulator of Google's store that holds a zip, and two ways to it: one of them is slow."""

    def __init__(self, data: Dataset) -> None:
        self._data = data
        self.near: Proxy | None = None
        self.far: Proxy | None = None

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        from beam_mat.storage import files, stores

        with (
            servers.google(HERE / ".cache") as url,
            proxied(url) as self.near,
            proxied(url) as self.far,
        ):
            servers.google_bucket(url, "bench")
            stores.use(reach.google(url))
            with self._data.zip.open("rb") as source, files.write(ZIP, "") as target:
                while block := source.read(1 << 20):
                    target.write(block)
            self.far.faults = Faults(delay=DELAY_SECONDS)
            yield

    def wanted_bytes(self) -> int:
        with zipfile.ZipFile(self._data.zip) as archive:
            return sum(entry.compress_size for entry in archive.infolist())

    def convert(
        self, setup: "Setup", way: Callable[[], Proxy | None]
    ) -> Callable[[Path], list[str]]:
        def command(output: Path) -> list[str]:
            proxy = way()
            assert proxy, "the stand is not running"
            options = json.dumps(reach.google(proxy.url))
            words = ["convert", "--json", str(self._data.json), "--images", ZIP]
            words += ["--output", str(output), "--overwrite", "--storage-options", options]
            return [str(setup.beam_mat), *words]

        return command


def remote(setup: "Setup") -> Case:
    count = setup.count(2000)
    data = setup.sources.images(count)
    if not servers.FAKE_GCS.exists():
        missing = [f"left out: there is no {servers.FAKE_GCS.name} (scripts/stands makes it)"]
        return Case("remote", "A zip on a store", "images", [], [], lambda _: [], missing)
    stand = Stand(data)
    slow = f"convert, {DELAY_SECONDS * 1000:.0f} ms a request"
    sides = [
        Side("convert, zip on disk", setup.convert(data), count, count),
        Side("convert, zip on a store", stand.convert(setup, lambda: stand.near), count, count),
        Side(slow, stand.convert(setup, lambda: stand.far), count, count),
    ]

    def figures(results: Results) -> list[Figure]:
        assert stand.near
        rounds = len(results["convert, zip on a store"])
        requests = len(stand.near.seen) / rounds
        fetched = sum(seen.bytes for seen in stand.near.seen) / rounds
        wanted = stand.wanted_bytes()
        ratio = seconds(results, slow) / seconds(results, "convert, zip on a store")
        return [
            Figure("bytes fetched / bytes wanted", fetched / wanted, "x", 1.05),
            Figure("requests for 4 MiB", requests * (4 << 20) / wanted, "", 1),
            Figure(
                f"time with {DELAY_SECONDS * 1000:.0f} ms a request / without", ratio, "x", 1.15
            ),
        ]

    notes = [
        f"{count:,} images from {data.origin}, a zip of {data.zip.stat().st_size / MB:,.0f} MB"
    ]
    inputs = [data.json, data.zip]
    return Case(
        "remote", "A zip on a store", "images", inputs, sides, figures, notes, stand.running
    )
