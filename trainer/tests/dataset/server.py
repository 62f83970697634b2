"""A web server for a folder, with ranges, that tells what was asked of it and fails on request."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

Answer = tuple[int, bytes]
Meddle = Callable[[str, int, Answer], Answer]
"""Makes of a path, how often it was asked for before, and the right answer, the answer given."""


class Server:
    def __init__(self, root: Path) -> None:
        self.root = root
        self.uri = ""
        self.asked: Counter[str] = Counter()
        self.ranges: list[tuple[str, int, int]] = []
        self.meddle: Meddle = lambda path, before, answer: answer
        self._lock = threading.Lock()

    def answer(self, path: str, header: str | None) -> Answer:
        file = self.root / path
        if not file.is_file():
            return 404, b""
        data, status = file.read_bytes(), 200
        if header:
            start, end = header.removeprefix("bytes=").split("-")
            data, status = data[int(start) : int(end) + 1], 206
        with self._lock:
            before = self.asked[path]
            self.asked[path] += 1
            if header:
                self.ranges.append((path, int(start), int(end) + 1))
        return self.meddle(path, before, (status, data))


@contextmanager
def serving(root: Path) -> Iterator[Server]:
    server = Server(root)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, data = server.answer(unquote(self.path[1:]), self.headers.get("Range"))
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        server.uri = f"http://127.0.0.1:{http.server_address[1]}"
        thread = threading.Thread(target=http.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield server
        finally:
            http.shutdown()
            thread.join()
