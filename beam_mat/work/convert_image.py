"""Converts one image, in a worker process.

Does not import fsspec or Arrow: worker processes start quickly and stay small.
"""

import hashlib
import os

import msgspec

from beam_mat.core import layout
from beam_mat.core.geometry import QWEN2_VL, QWEN3_VL, tokens, turned_as
from beam_mat.core.image import ImageFault, ImageRules, prepare
from beam_mat.core.member import Member, Packing, unpack
from beam_mat.core.nearest import Near
from beam_mat.core.proposal import Pairs, detail
from beam_mat.core.reject import Reason
from beam_mat.core.results import ImageOutcome
from beam_mat.storage.local_store import LocalStore
from beam_mat.storage.store import Written


class ImageRow(msgspec.Struct, frozen=True):
    """A row of images.parquet. Values that are unknown for a faulty image are None.

    `status` is kept, resized, converted or a faulty image's `Reason`. `note` has `Note`s, separated
    by commas. `origin` is `Member.origin`;
    it is not in images.parquet.
    """

    path: str
    file: str | None
    status: str
    detail: str | None = None
    source: str | None = None
    source_format: str | None = None
    source_width: int | None = None
    source_height: int | None = None
    source_bytes: int | None = None
    format: str | None = None
    width: int | None = None
    height: int | None = None
    bytes: int | None = None
    sha256: str | None = None
    qwen2_vl_tokens: int | None = None
    qwen3_vl_tokens: int | None = None
    note: str | None = None
    origin: str | None = None

    def outcome(self) -> ImageOutcome:
        """Returns the outcome for records that use this image."""
        if self.file is not None:
            counts = (self.qwen2_vl_tokens or 0, self.qwen3_vl_tokens or 0)
            written = (self.width or 0, self.height or 0)
            original = turned_as(written, (self.source_width or 0, self.source_height or 0))
            size = self.bytes or 0
            return ImageOutcome(self.path, None, self.file, counts, original, written, size)
        return ImageOutcome(self.path, ImageFault(Reason(self.status), self.detail or ""))


class Job(msgspec.Struct, frozen=True, array_like=True):
    """How images are converted, and where they go.

    `output` is the path of the output folder if it is on a disk of this machine.
    """

    rules: ImageRules
    output: str | None


class Original(msgspec.Struct, frozen=True, array_like=True):
    """An image to convert: its member, and the member's origin, see `Member.origin`.

    `source` is the path of the member's source if it is on a disk of this machine. Otherwise `data`
    has the bytes of the image.
    """

    member: Member
    origin: str
    source: str = ""
    data: bytes = b""


def convert_image(job: Job, original: Original) -> tuple[ImageRow, bytes]:
    """Checks, resizes and writes an image. Returns its row.

    If the output is not on a disk of this machine, returns the bytes to write as well.
    """
    member = original.member
    data: bytes | ImageFault = original.data
    if original.source:
        data = _read(original.source, member)
    if isinstance(data, ImageFault):
        return fault_row(member, data, original.origin), b""
    picture = prepare(data, job.rules)
    if isinstance(picture, ImageFault):
        return fault_row(member, picture, original.origin), b""
    sha256 = hashlib.sha256(picture.data).hexdigest()
    file = layout.image_file(member.path, sha256, picture.format)
    row = ImageRow(
        path=member.path,
        file=file,
        status=picture.action.value,
        source=member.source,
        source_format=picture.source_format,
        source_width=picture.source_size[0],
        source_height=picture.source_size[1],
        source_bytes=member.size,
        format=picture.format,
        width=picture.size[0],
        height=picture.size[1],
        bytes=len(picture.data),
        sha256=sha256,
        qwen2_vl_tokens=tokens(picture.size, QWEN2_VL),
        qwen3_vl_tokens=tokens(picture.size, QWEN3_VL),
        note=", ".join(picture.notes) or None,
        origin=original.origin,
    )
    if job.output is None:
        return row, picture.data
    path = os.path.join(job.output, file)
    scratch = os.path.join(job.output, layout.SCRATCH)
    store = LocalStore()
    store.protect(job.output)
    store.write_new(path, picture.data, Written(len(picture.data), sha256), scratch)
    return row, b""


def _read(source: str, member: Member) -> bytes | ImageFault:
    if member.packing is Packing.FILE:
        return LocalStore().read_range(source, 0, member.size)
    store = LocalStore()
    if len(member.pieces) > 1:
        read = (store.read_range(*one) for one in member.ranges())
        return unpack(member, memoryview(b"".join(read)))
    begin = member.pieces[0].begin if member.pieces else 0
    entry = store.read_range(source, member.offset - begin, member.end - begin)
    return unpack(member, memoryview(entry))


def fault_row(member: Member, fault: ImageFault, origin: str) -> ImageRow:
    """Returns the row of an image that cannot be used."""
    return ImageRow(
        path=member.path,
        file=None,
        status=fault.reason.value,
        detail=f"{member.path!r}: {fault.detail}",
        source=member.source,
        source_bytes=member.size,
        origin=origin,
    )


def missing_row(path: str, near: Near | None = None, prefixes: Pairs = ()) -> ImageRow:
    """Returns the row of an image that no source has.

    `near` is the nearest member, if there is one. `prefixes` are those of the settings.
    """
    return ImageRow(path, None, Reason.IMAGE_MISSING.value, detail(path, near, prefixes))
