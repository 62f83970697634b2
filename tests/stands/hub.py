"""A stand-in for Hugging Face's hub: one dataset, its files those of a folder, read only."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

REPO = "someone/MAT"
COMMIT = "c0ffee" + "0" * 34


@contextlib.contextmanager
def hub(folder: Path, repo: str = REPO) -> Iterator[str]:
    """Serves the files of `folder` as the dataset `repo`, and yields the hub's address."""

    class Handler(_Handler):
        root = folder
        dataset = repo

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), name="hub")
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    root: Path
    dataset: str
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        if found := re.fullmatch(rf"/api/datasets/{self.dataset}(/revision/\w+)?", path):
            self._json({"id": self.dataset, "sha": COMMIT, "siblings": []})
        elif found := re.fullmatch(rf"/api/datasets/{self.dataset}/tree/\w+/?(.*)", path):
            recursive = "recursive=true" in self.path.lower()
            self._tree(self.root / found[1], recursive)
        elif found := re.fullmatch(rf"/datasets/{self.dataset}/resolve/\w+/(.+)", path):
            self._file(self.root / found[1])
        else:
            self._missing("RepoNotFound")

    def do_HEAD(self) -> None:
        self.do_GET()

    def _tree(self, folder: Path, recursive: bool) -> None:
        if not folder.is_dir():
            self._missing("EntryNotFound")
            return
        found = sorted(folder.rglob("*") if recursive else folder.iterdir())
        self._json([self._entry(path) for path in found])

    def _entry(self, path: Path) -> dict[str, Any]:
        name = path.relative_to(self.root).as_posix()
        if path.is_dir():
            return {"type": "directory", "oid": "0" * 40, "size": 0, "path": name}
        data = path.read_bytes()
        oid = hashlib.sha1(data).hexdigest()
        return {"type": "file", "oid": oid, "size": len(data), "path": name}

    def _file(self, path: Path) -> None:
        if not path.is_file():
            self._missing("EntryNotFound")
            return
        data = path.read_bytes()
        found = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if not found:
            self._send(200, data)
            return
        begin, end = int(found[1]), min(int(found[2] or len(data)) + 1, len(data))
        if begin >= len(data):
            self._send(416, b"")
            return
        where = f"bytes {begin}-{end - 1}/{len(data)}"
        self._send(206, data[begin:end], {"Content-Range": where})

    def _missing(self, code: str) -> None:
        self._send(404, b"{}", {"X-Error-Code": code})

    def _json(self, value: object) -> None:
        self._send(200, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def _send(self, status: int, data: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(data)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""
