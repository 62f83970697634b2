"""What Prometheus and a health check are served, on either version of IP."""

from __future__ import annotations

import socket
import urllib.error
from collections import Counter
from pathlib import Path

import pytest

from beam_mat.core.errors import ConfigError
from beam_mat.core.settings import Settings
from beam_mat.watch import monitor as monitors
from beam_mat.watch.messages import WatchSettings
from beam_mat.watch.monitor import Monitor, serving_metrics
from tests.watch.test_watch import free_port, get, metric


@pytest.fixture
def monitor(tmp_path: Path) -> Monitor:
    settings = Settings(str(tmp_path), resume=True)
    watch = WatchSettings(settings, (), (), 1.0, 1.0, 1.0, run="r")
    return Monitor(watch, Counter(images=3))


def test_metrics_and_health(monitor: Monitor, monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_port()
    with serving_metrics(monitor, ("127.0.0.1", port)):
        assert get(port, "/healthz") == (200, "well\n")
        assert metric(port, "beam_mat_watch_images_total") == 3
        assert metric(port, "beam_mat_watch_healthy") == 1
        monkeypatch.setattr(monitors, "SILENT_SECONDS", -1.0)
        monkeypatch.setattr(monitor, "_received", -10.0)
        status, text = get(port, "/healthz")
        assert (status, text[:22]) == (503, "nothing has been heard")
        assert metric(port, "beam_mat_watch_healthy") == 0
    with pytest.raises(urllib.error.URLError):
        get(port, "/healthz")


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_an_address_that_is_taken_is_named(monitor: Monitor, host: str) -> None:
    if ":" in host and not socket.has_dualstack_ipv6():
        pytest.skip("there is no IPv6 here")
    port = free_port()
    with (
        serving_metrics(monitor, (host, port)),
        pytest.raises(ConfigError, match=f"--metrics-port {host}:{port}: cannot be listened on"),
        serving_metrics(monitor, (host, port)),
    ):
        pass
