"""A bucket in the emulator of Google's store, as seen from outside: plain HTTP."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import quote

NAME = "mat"


class Bucket:
    """The bucket ``gs://mat`` of the emulator at `url`.

    Attributes:
        options: How to reach it, as storage options.
        environment: What Beam needs to find it where the cloud would be.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        options = {"gs": {"endpoint_url": url, "token": "anon"}}
        self.options = ["--storage-options", json.dumps(options)]
        self.environment = {"STORAGE_EMULATOR_HOST": url, "NO_GCE_CHECK": "true"}

    def put(self, name: str, file: Path) -> str:
        """Uploads a file and returns its uri."""
        return self.put_bytes(name, file.read_bytes())

    def put_bytes(self, name: str, data: bytes) -> str:
        """Uploads an object and returns its uri."""
        path = f"/upload/storage/v1/b/{NAME}/o?uploadType=media&name={quote(name, safe='')}"
        self._ask(path, data)
        return f"gs://{NAME}/{name}"

    def get(self, name: str) -> bytes:
        """An object, by its name or uri."""
        name = name.removeprefix(f"gs://{NAME}/")
        return self._ask(f"/storage/v1/b/{NAME}/o/{quote(name, safe='')}?alt=media")

    def names(self, prefix: str = "") -> list[str]:
        """The objects whose names begin so."""
        path = f"/storage/v1/b/{NAME}/o?prefix={quote(prefix, safe='')}"
        listed: dict[str, Any] = json.loads(self._ask(path))
        return sorted(item["name"] for item in listed.get("items", []))

    def tree(self, folder: str) -> dict[str, bytes]:
        """Every object below a folder, by its relative name."""
        begin = len(folder) + 1
        return {name[begin:]: self.get(name) for name in self.names(f"{folder}/")}

    def _ask(self, path: str, data: bytes | None = None) -> bytes:
        kind = {"Content-Type": "application/octet-stream"}
        with urllib.request.urlopen(urllib.request.Request(self._url + path, data, kind)) as answer:
            body: bytes = answer.read()
        return body
