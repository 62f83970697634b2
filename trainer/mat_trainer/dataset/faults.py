"""Faults of many files, found by many threads: each counted, the first of them told."""

from __future__ import annotations

import threading

LIMIT = 20
"""How many are told; more of them say the same."""


class Faults:
    """Collects faults, a sentence each. Several threads may add."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._told: list[str] = []
        self.count = 0

    def add(self, *faults: str) -> None:
        """Takes faults in."""
        with self._lock:
            self.count += len(faults)
            self._told += faults[: LIMIT - len(self._told)]

    def sentences(self) -> list[str]:
        """The first faults by name, and how many more there are."""
        with self._lock:
            more = self.count - len(self._told)
            return sorted(self._told) + ([f"and {more:,} more of the kind"] if more else [])
