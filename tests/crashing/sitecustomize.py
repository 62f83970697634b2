"""Makes Pillow's decoders misbehave on files that ask for it.

This happens in each process with this folder on its path. A decoder with a memory error cannot be
had in a test, so this one does on purpose what such a decoder does by accident. A file asks by the
bytes ``misbehave:`` and one of the words below.
"""

from __future__ import annotations

import os
import signal
import time
from typing import Any

import simplejpeg
from PIL import ImageFile

MARK = b"misbehave:"
_load = ImageFile.ImageFile.load
_decode = simplejpeg.decode_jpeg


def _spin() -> None:
    while True:
        pass


def _allocate() -> None:
    held = []
    while True:
        held.append(bytes(1 << 28))


HOW = {
    b"abort": os.abort,
    b"fault": lambda: os.kill(os.getpid(), signal.SIGSEGV),
    b"exit": lambda: os._exit(3),
    b"spin": _spin,
    b"wait": lambda: time.sleep(3600),
    b"allocate": _allocate,
}


def _loading(self: Any) -> Any:
    getvalue = getattr(self.fp, "getvalue", None)
    data = getvalue() if getvalue else b""
    _obey(data)
    return _load(self)


def _obey(data: bytes) -> None:
    if MARK in data:
        _, _, rest = data.partition(MARK)
        HOW[rest[: rest.index(b";")]]()


def _decoding(data: bytes, *arguments: Any, **options: Any) -> Any:
    _obey(data)
    return _decode(data, *arguments, **options)


simplejpeg.decode_jpeg = _decoding
ImageFile.ImageFile.load = _loading  # type: ignore[method-assign]
