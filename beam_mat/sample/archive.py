"""The sample's zip: the same bytes whenever it is written, and the ways in which one breaks."""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

_LOCAL_HEADER_BYTES = 30
_FLAGS_AT, _METHOD_AT, _CRC_AT, _NAME_LENGTH_AT = 6, 8, 14, 26
_NO_SUCH_METHOD = 99


class SampleZip:
    """A zip under construction whose members can be damaged. Made by `sample_zip`."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        self.patches: list[tuple[int, bytes]] = []

    def add(self, name: str, body: bytes) -> zipfile.ZipInfo:
        """Write one deflated member, with the time and the rights that all members have."""
        return self._add(name, body, 0o100600)

    def add_link(self, name: str, target: str) -> None:
        """Write a symbolic link."""
        self._add(name, target.encode(), 0o120777)

    def _add(self, name: str, body: bytes, mode: int) -> zipfile.ZipInfo:
        info = zipfile.ZipInfo(name, (2024, 12, 10, 0, 0, 0))
        info.compress_type = zipfile.ZIP_DEFLATED
        info.create_system = 3
        info.external_attr = mode << 16
        self._archive.writestr(info, body)
        return info

    def encrypt(self, info: zipfile.ZipInfo) -> None:
        """Mark the member as encrypted."""
        # The directory is written when the zip closes, so its half of the damage is done here.
        info.flag_bits |= 1
        self.patches.append((info.header_offset + _FLAGS_AT, struct.pack("<H", info.flag_bits)))

    def mispack(self, info: zipfile.ZipInfo) -> None:
        """Mark the member as packed by a method that nobody knows."""
        info.compress_type = _NO_SUCH_METHOD
        self.patches.append((info.header_offset + _METHOD_AT, struct.pack("<H", _NO_SUCH_METHOD)))

    def missum(self, info: zipfile.ZipInfo) -> None:
        """Write a checksum that is not the member's."""
        info.CRC ^= 1
        self.patches.append((info.header_offset + _CRC_AT, struct.pack("<L", info.CRC)))

    def flip(self, info: zipfile.ZipInfo) -> None:
        """Change a byte in the middle of the packed data."""
        file = self._archive.fp
        assert file is not None
        end = file.tell()
        file.seek(info.header_offset + _NAME_LENGTH_AT)
        lengths = struct.unpack("<HH", file.read(4))
        place = info.header_offset + _LOCAL_HEADER_BYTES + sum(lengths) + info.compress_size // 2
        file.seek(place)
        byte = file.read(1)[0]
        file.seek(end)
        self.patches.append((place, bytes([byte ^ 0x55])))


Spoil = Callable[[SampleZip, zipfile.ZipInfo], None]
"""Damages one member that is already written."""


@contextmanager
def sample_zip(path: Path) -> Iterator[SampleZip]:
    """Write a new zip at `path`; damage is laid over its local headers once it is closed."""
    with zipfile.ZipFile(path, "x") as archive:
        made = SampleZip(archive)
        yield made
    if made.patches:
        with path.open("r+b") as file:
            for place, value in made.patches:
                file.seek(place)
                file.write(value)
