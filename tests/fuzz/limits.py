"""What a process takes, for programs that read hostile input under limits."""

from __future__ import annotations

import resource


def address_space() -> int:
    """Bytes of address space of this process. Libraries take much of it without using it."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[0]) * resource.getpagesize()
