"""A stand-in for the Dataflow API: takes jobs and tells of their course what the test says."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Json = dict[str, Any]


class Dataflow:
    """What was asked of the service, and what it is to answer.

    Attributes:
        url: Its address, which must contain ``localhost`` for Beam to speak plain HTTP to it.
        jobs: As submitted.
        state: Of every job.
        messages: Of every job: importance and text.
        counters: Of every job.
        on_create: Called in a thread of its own with each new job.
        asked: Method and path of each request.
    """

    def __init__(self, port: int) -> None:
        self.url = f"http://localhost:{port}"
        self.jobs: list[Json] = []
        self.state = "JOB_STATE_RUNNING"
        self.messages: list[tuple[str, str]] = []
        self.counters: Mapping[str, int] = {}
        self.on_create: Callable[[Json], object] = lambda job: None
        self.asked: list[str] = []

    def answer(self, method: str, path: str, body: Json) -> Json:
        """What the service says to a request."""
        self.asked.append(f"{method} {path}")
        if path.endswith("/token"):  # of a made-up service account
            return {"access_token": "made-up", "expires_in": 3600, "token_type": "Bearer"}
        if method == "POST":
            self.jobs.append(body)
            threading.Thread(target=self.on_create, args=(body,), daemon=True).start()
            return {"id": f"job-{len(self.jobs)}", "name": body["name"]}
        if path.endswith("/messages"):
            return {
                "jobMessages": [
                    {"id": str(n), "time": "2026-01-01T00:00:00Z", "messageText": text}
                    | {"messageImportance": f"JOB_MESSAGE_{importance}"}
                    for n, (importance, text) in enumerate(self.messages)
                ]
            }
        if path.endswith("/metrics"):
            return {"metrics": [_metric(*pair, tentative) for pair in self.counters.items()
                                for tentative in ("true", "false")]}  # fmt: skip
        (job,) = re.findall(r"/jobs/([^/]+)$", path)
        return {"id": job, "currentState": self.state}


def _metric(name: str, value: int, tentative: str) -> Json:
    context = {"namespace": "beam_mat", "step": "s1", "tentative": tentative}
    return {"name": {"origin": "user", "name": name, "context": context}, "scalar": value}


@contextmanager
def serving() -> Iterator[Dataflow]:
    """Serves on a free port for as long as the block lasts."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            size = int(self.headers.get("Content-Length") or 0)
            data = self.rfile.read(size)
            is_json = data.startswith(b"{")
            path = self.path.partition("?")[0]
            said = service.answer(self.command, path, json.loads(data) if is_json else {})
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(json.dumps(said).encode())

        do_POST = do_PUT = do_GET  # noqa: N815

        def log_message(self, format: str, *words: object) -> None:
            pass

    with ThreadingHTTPServer(("localhost", 0), Handler) as server:
        service = Dataflow(server.server_port)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield service
        finally:
            server.shutdown()
            thread.join()
