"""The case of a zip on a store: measures the requests, the bytes, and the effect of latency."""

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


class Store:
    """An emulator of Google Cloud Storage with a zip, behind a fast proxy and a slow proxy."""

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
            assert proxy, "the emulator is not running"
            options = json.dumps(reach.google(proxy.url))
            words = ["convert", "--json", str(self._data.json), "--images", ZIP]
            words += ["--output", str(output), "--overwrite", "--storage-options", options]
            return [str(setup.beam_mat), *words]

        return command


def remote(setup: "Setup") -> Case:
    count = setup.count(2000)
    data = setup.sources.images(count)
    if not servers.FAKE_GCS.exists():
        missing = [f"not run: {servers.FAKE_GCS.name} is missing (scripts/stands builds it)"]
        return Case("remote", "A zip on a store", "images", [], [], lambda _: [], missing)
    store = Store(data)
    slow = f"convert, {DELAY_SECONDS * 1000:.0f} ms per request"
    sides = [
        Side("convert, zip on disk", setup.convert(data), count, count),
        Side("convert, zip on a store", store.convert(setup, lambda: store.near), count, count),
        Side(slow, store.convert(setup, lambda: store.far), count, count),
    ]

    def figures(results: Results) -> list[Figure]:
        assert store.near
        rounds = len(results["convert, zip on a store"])
        requests = len(store.near.seen) / rounds
        fetched = sum(seen.bytes for seen in store.near.seen) / rounds
        wanted = store.wanted_bytes()
        ratio = seconds(results, slow) / seconds(results, "convert, zip on a store")
        return [
            Figure("bytes fetched / bytes needed", fetched / wanted, "x", 1.05),
            Figure("requests per 4 MiB", requests * (4 << 20) / wanted, "", 1),
            Figure(
                f"time with {DELAY_SECONDS * 1000:.0f} ms per request / without", ratio, "x", 1.15
            ),
        ]

    notes = [
        f"{count:,} images from {data.origin}, a zip of {data.zip.stat().st_size / MB:,.0f} MB"
    ]
    inputs = [data.json, data.zip]
    return Case(
        "remote", "A zip on a store", "images", inputs, sides, figures, notes, store.running
    )
