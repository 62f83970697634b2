"""How the package is told of a stand: storage options by protocol."""

from __future__ import annotations

from typing import Any

Options = dict[str, dict[str, Any]]


def google(url: str) -> Options:
    """Of an emulator of Google's store, or a proxy before it."""
    return {"gs": {"endpoint_url": url, "token": "anon"}}


def amazon(url: str) -> Options:
    """Of an emulator of S3, or a proxy before it. Without its own retries: ours are looked at."""
    once = {"retries": {"total_max_attempts": 1}}
    keys = {"key": "testing", "secret": "testing"}
    return {"s3": {"endpoint_url": url, **keys, "config_kwargs": once}}


def hub(url: str) -> Options:
    """Of a stand-in for the hub."""
    return {"hf": {"endpoint": url, "token": False}}
