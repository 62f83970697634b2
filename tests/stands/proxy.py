"""A proxy in front of a store that counts requests, delays them, and makes them fail.

As a program: ``python -m tests.stands.proxy PORT TARGET DELAY_SECONDS``.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import aiohttp
from aiohttp import web
from yarl import URL

from tests.stands.servers import await_port, free_port


@dataclass(frozen=True)
class Seen:
    """A request that was answered: bytes are those of the answer's body.

    Attributes:
        range: Its header of this name, or "".
    """

    method: str
    path: str
    status: int
    bytes: int
    range: str = ""


@dataclass
class Faults:
    """What the proxy does to requests, each with its probability, by seeded chance.

    Attributes:
        delay: Seconds before a request is passed on.
        statuses: Answers instead of the store's, by HTTP status.
        reset: The connection is closed without an answer, and the store sees nothing.
        cut: The connection is closed in the middle of the body.
        short: Half of the body comes, and the headers say that this is all.
        lost: The store does as it was told, and its answer is lost.
        on: Which requests may fail, by method and path; all when not set.
        most: How many faults there may be.
    """

    delay: float = 0.0
    statuses: dict[int, float] = field(default_factory=dict)
    reset: float = 0.0
    cut: float = 0.0
    short: float = 0.0
    lost: float = 0.0
    on: Callable[[str, str], bool] = lambda _method, _path: True
    most: int = sys.maxsize


class Proxy:
    """Passes requests on to `target`. `faults` can be changed at any time; `seen` only grows."""

    def __init__(self, target: str) -> None:
        self.faults = Faults()
        self.seen: list[Seen] = []
        self.made: list[str] = []
        self.url = ""
        self._target = target
        self._chance = random.Random(5)

    async def serve(self, port: int) -> None:
        """Serves until it is cancelled."""
        self.url = f"http://127.0.0.1:{port}"
        timeout = aiohttp.ClientTimeout(total=60)
        async with aiohttp.ClientSession(auto_decompress=False, timeout=timeout) as session:
            self._session = session
            app = web.Application(client_max_size=1 << 30)
            app.router.add_route("*", "/{path:.*}", self._answer)
            runner = web.AppRunner(app, access_log=None, shutdown_timeout=0)
            await runner.setup()
            try:
                await web.TCPSite(runner, "127.0.0.1", port).start()
                await asyncio.Event().wait()
            finally:
                await runner.cleanup()

    def _fault(self, request: web.Request) -> str | int:
        faults = self.faults
        shares: dict[str | int, float] = dict(faults.statuses.items())
        shares.update(reset=faults.reset, cut=faults.cut, short=faults.short, lost=faults.lost)
        dice = self._chance.random()
        if len(self.made) < faults.most and faults.on(request.method, request.path_qs):
            for fault, share in shares.items():
                dice -= share
                if dice < 0:
                    self.made.append(str(fault))
                    return fault
        return ""

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        await asyncio.sleep(self.faults.delay)
        fault = self._fault(request)
        if isinstance(fault, int):
            return web.Response(status=fault, text="{}")
        if fault == "reset":
            return self._close(request)
        # The host stays: signatures are made over it.
        headers = {name: value for name, value in request.headers.items() if name != "Connection"}
        url = self._target + request.raw_path
        async with self._session.request(
            request.method,
            URL(url, encoded=True),
            headers=headers,
            data=body or None,
            allow_redirects=False,
        ) as answer:
            data = await answer.read()
        if fault == "lost":
            return self._close(request)
        kept = data[: len(data) // 2] if fault == "short" else data
        asked = request.headers.get("Range", "")
        self.seen.append(Seen(request.method, request.path_qs, answer.status, len(kept), asked))
        hop = {"Content-Length", "Transfer-Encoding", "Connection", "Date", "Server"}
        response = web.StreamResponse(status=answer.status)
        for name, value in answer.headers.items():
            if name.title() not in hop:
                response.headers[name] = value.replace(self._target, self.url)
        length = len(kept) if request.method != "HEAD" else answer.headers.get("Content-Length")
        if length is not None:
            response.headers["Content-Length"] = str(length)
        with contextlib.suppress(ConnectionError):  # the client has gone
            await response.prepare(request)
            if request.method != "HEAD":
                await response.write(kept[: len(kept) // 2] if fault == "cut" else kept)
            if fault == "cut":
                return self._close(request)
            await response.write_eof()
        return response

    def _close(self, request: web.Request) -> web.Response:
        if request.transport is not None:
            request.transport.abort()
        return web.Response()


@contextlib.contextmanager
def proxied(target: str) -> Iterator[Proxy]:
    """Runs a proxy in a thread of this process while the block lasts."""
    proxy = Proxy(target)
    loop = asyncio.new_event_loop()
    port = free_port()
    thread = threading.Thread(target=_serve, args=(loop, proxy, port), name="proxy")
    thread.start()
    try:
        await_port(port)
        yield proxy
    finally:
        loop.call_soon_threadsafe(lambda: [task.cancel() for task in asyncio.all_tasks(loop)])
        thread.join()


def _serve(loop: asyncio.AbstractEventLoop, proxy: Proxy, port: int) -> None:
    asyncio.set_event_loop(loop)
    with contextlib.suppress(asyncio.CancelledError):
        loop.run_until_complete(proxy.serve(port))
    loop.close()


def main() -> None:
    """Serves until it is ended."""
    port, target, delay = sys.argv[1:]
    proxy = Proxy(target)
    proxy.faults = Faults(delay=float(delay))
    asyncio.run(proxy.serve(int(port)))


if __name__ == "__main__":
    main()
