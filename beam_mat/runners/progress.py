"""Shows progress in the terminal while a local runner works.

Workers send small UDP packets over loopback (`beam_mat.transforms.step`): threads, worker
processes and Prism's workers alike. A lost packet makes a bar lag, but no result wrong: results are
counted elsewhere.
"""

import contextlib
import json
import socket
import socketserver
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

LINE_SECONDS = 5.0
STOP_SECONDS = 0.05


class Receiver(socketserver.UDPServer):
    """Adds up what workers report. They send to `address`."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), socketserver.BaseRequestHandler)
        with contextlib.suppress(OSError):
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self.address = f"127.0.0.1:{self.server_address[1]}"
        self.counts: Counter[str] = Counter()
        self._thread = threading.Thread(
            target=self.serve_forever, args=(STOP_SECONDS,), name="progress", daemon=True
        )
        self._thread.start()

    def finish_request(self, request: Any, client_address: Any) -> None:  # noqa: ARG002
        """Counts what is in a packet. Other programs may send packets too."""
        with contextlib.suppress(ValueError, TypeError, AttributeError):
            packet = json.loads(request[0])
            self.counts.update({str(name): int(count) for name, count in packet.items()})

    def close(self) -> None:
        """Stops listening."""
        self.shutdown()
        self._thread.join()
        self.server_close()


@contextlib.contextmanager
def shown(input_bytes: int) -> Iterator[Receiver]:
    """Shows progress on standard error until the block ends: bars on a terminal, lines elsewhere.

    `input_bytes` is the size of all JSON shards.
    """
    done = threading.Event()
    with contextlib.closing(Receiver()) as receiver:
        show = _bars if sys.stderr.isatty() else _lines
        painter = threading.Thread(
            target=show, args=(receiver.counts, input_bytes, done), daemon=True
        )
        painter.start()
        try:
            yield receiver
        finally:
            done.set()
            painter.join()


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text(f"{speed:,.0f}/s" if speed else "", style="progress.data.speed")


def _bars(counts: Counter[str], input_bytes: int, done: threading.Event) -> None:
    columns = (
        TextColumn("{task.description:<15}"),
        BarColumn(),
        MofNCompleteColumn(),
        _Rate(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}", style="yellow"),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        read = progress.add_task("Split shards", total=_megabytes(input_bytes), note="MB")
        check = progress.add_task("Check records", total=None, note="")
        images = progress.add_task("Convert images", total=None, note="")
        write = progress.add_task("Write records", total=None, note="")

        def paint() -> None:
            records = counts["records"] or None
            rejected = counts["rejected"]
            progress.update(read, completed=_megabytes(min(counts["bytes"], input_bytes)))
            progress.update(check, completed=counts["requested"], total=records)
            progress.update(images, completed=counts["images"], total=counts["wanted"] or None)
            note = f"{rejected:,} rejected" if rejected else ""
            progress.update(write, completed=counts["written"], total=records, note=note)

        while not done.wait(0.2):
            paint()
        paint()


def _megabytes(size: int) -> int:
    return -(-size // 1_000_000)


def _lines(counts: Counter[str], input_bytes: int, done: threading.Event) -> None:
    begin = time.monotonic()
    while not done.wait(LINE_SECONDS):
        sys.stderr.write(_line(counts, input_bytes, time.monotonic() - begin) + "\n")


def _line(counts: Counter[str], input_bytes: int, seconds: float) -> str:
    """One line for a log.

    >>> _line(Counter(records=40, bytes=9, wanted=20, images=5), 10, 2.0)
    '2 s: split 90 %, 40 records found, 5 of 20 images (2/s, 6 s left), 0 written, 0 rejected'
    """
    images = counts["images"]
    rate = images / seconds if seconds else 0.0
    left = f", {(counts['wanted'] - images) / rate:.0f} s left" if rate else ""
    percent = 100 * counts["bytes"] // max(1, input_bytes)
    return (
        f"{seconds:.0f} s: split {min(percent, 100)} %, {counts['records']:,} records found, "
        f"{images:,} of {counts['wanted']:,} images ({rate:,.0f}/s{left}), "
        f"{counts['written']:,} written, {counts['rejected']:,} rejected"
    )
