"""Ports of this machine: a free one, and which program uses one."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path

_PROC = Path("/proc")
_LISTENS = "0A"  # linux/include/net/tcp_states.h
_SHOWN = 100


def free() -> int:
    """A port that nothing uses now."""
    with socket.socket() as probe:
        probe.bind(("", 0))
        port: int = probe.getsockname()[1]
        return port


def is_free(port: int) -> bool:
    """Whether a program such as torchrun could listen at the port."""
    try:
        with socket.create_server(("", port)):
            return True
    except OSError:
        return False


def user(port: int) -> str | None:
    """The program that listens at a port; None if it is not known, or another user's."""
    sockets = {f"socket:[{inode}]" for inode in _listening(port)}
    if not sockets:
        return None
    for process in _PROC.glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended, or is another user's
            for handle in (process / "fd").iterdir():
                if os.readlink(handle) in sockets:
                    words = (process / "cmdline").read_bytes().split(b"\0")
                    command = " ".join(word.decode(errors="replace") for word in words).strip()
                    return f"process {process.name} ({command[:_SHOWN]})"
    return None


def _listening(port: int) -> Iterator[str]:
    """Inodes of the sockets that listen at a port."""
    for name in ("tcp", "tcp6"):
        with contextlib.suppress(OSError):
            for line in (_PROC / "net" / name).read_text().splitlines()[1:]:
                words = line.split()  # number, local address, remote address, state, ... inode
                if words[3] == _LISTENS and int(words[1].rpartition(":")[2], 16) == port:
                    yield words[9]
