"""Functions for workers that crash, wait or use memory."""

from __future__ import annotations

import os
import signal
import time

from beam_mat.core.errors import SourceError


def obey(prefix: str, word: str) -> str:
    match word.split(" "):
        case ["abort"]:
            os.abort()
        case ["exit"]:
            os._exit(3)
        case ["spin"]:
            while True:
                pass
        case ["wait"]:
            time.sleep(3600)
        case ["allocate"]:
            return str(len([bytes(1 << 26) for _ in range(1000)]))
        case ["raise"]:
            raise SourceError("it has changed")
        case ["fail"]:
            raise KeyError(word)
        case ["killed", path]:
            # A signal from outside, as often as the file has lines.
            with open(path, "r+", encoding="utf-8") as file:
                lines = file.readlines()
                if lines:
                    file.seek(0)
                    file.truncate()
                    file.writelines(lines[1:])
                    file.flush()
                    os.kill(os.getpid(), signal.SIGKILL)
    return prefix + word


def pid(_: str, seconds: float) -> int:
    time.sleep(seconds)
    return os.getpid()


def keep(prefix: str, megabytes: int) -> int:
    """Keeps memory for as long as the worker lives, as a decoder that loses it does."""
    HELD.append(bytes(megabytes << 20))
    return len(prefix)


HELD: list[bytes] = []
