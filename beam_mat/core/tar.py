"""Finds the members of a tar, without reading the bodies.

Sources: POSIX pax ("ustar Interchange Format", "pax Header Block"); GNU tar's manual, "Basic Tar
Format". Python's tarfile is not used: it ends without an error at a damaged header, holds an
extended header of any size, and differs between versions of Python.
"""

from collections.abc import Callable, Iterator, Mapping

import msgspec

BLOCK = 512
_MAX_EXTENDED = 1 << 20
"""Bytes of an extended header or a long name."""
_SCAN = 1 << 18
"""Bytes that are read at a time while a header is searched, at most."""

_FOLDER, _SPARSE = b"5", b"S"
_LONG_NAME, _LONG_LINK = b"L", b"K"
_PAX_GLOBAL = b"g"
_EXTENSIONS = (_LONG_NAME, _LONG_LINK, _PAX_GLOBAL, b"x", b"X")
"""Kinds of headers that only describe the next member. X is an older pax header of Solaris."""
_NO_FILE = {
    b"1": "a hard link; pack the tar again with --hard-dereference",
    b"2": "a symbolic link; pack the tar again with --dereference",
    b"3": "a device",
    b"4": "a device",
    b"6": "a pipe",
}
_UNREADABLE = {
    b"S": "a sparse file; pack the tar again without --sparse",
    b"M": "the rest of a file that begins in another tar; join the volumes",
}
_DUMP_FOLDER, _LABEL = b"D", b"V"
_KEYS = ("path", "size", "hdrcharset", "GNU.sparse.name")
"""Keys of extended headers that matter. Others are not kept, because there may be any number."""

Read = Callable[[int, int], bytes]
"""Returns all bytes of the tar from the first to the second offset."""


class BrokenTarError(ValueError):
    """The tar has no members from some byte on, although it should."""


class TarEntry(msgspec.Struct, frozen=True):
    """A member: its raw name, and where its bytes are.

    `problem` says why it cannot be used; `damaged` is whether the tar is to blame. Otherwise the
    tar has a kind of member that is not supported.
    """

    name: bytes
    is_utf8: bool
    offset: int
    size: int
    problem: str = ""
    damaged: bool = False


class _Extended(msgspec.Struct):
    """What extended headers say about the next member."""

    name: bytes = b""
    is_utf8: bool = False
    size: bytes = b""
    sparse: bool = False
    problem: str = ""


def begins(head: bytes) -> bool:
    """Whether a file that begins with these bytes is a tar."""
    return len(head) >= BLOCK and _is_header(head[:BLOCK])


def entries(read: Read, size: int) -> Iterator[TarEntry]:
    """Yields the members of a tar of `size` bytes.

    A damaged header costs its own member, and so does a size that cannot be right: the next header
    is searched. An archive that is appended to another one counts, too. Raises a BrokenTarError if
    the tar ends within a member. Memory is bounded; time is linear.
    """
    at = 0
    after_end = False
    known: Mapping[str, bytes] = {}
    next_one = _Extended()
    while at + BLOCK <= size:
        block = read(at, at + BLOCK)
        if not any(block):
            at, after_end = at + BLOCK, True
            continue
        if not _is_header(block):
            rest = _search(read, at + BLOCK, size)
            if b"ustar" in block[257:262]:
                yield TarEntry(_name(block), False, at, 0, "its header is damaged", True)
            elif rest == size and not after_end:
                raise BrokenTarError(f"has no valid header at byte {at}")
            at, next_one = rest, _Extended()
            continue
        after_end = False
        kind, begin = block[156:157], at + BLOCK
        name, is_utf8 = next_one.name or _name(block), bool(next_one.name) and next_one.is_utf8
        length = _length(kind, block, next_one)
        if length is None or begin + length > size:
            rest = _search(read, begin, size)
            shown = name[:200].decode("utf-8", "replace")
            if rest == size:
                raise BrokenTarError(
                    f"is cut off at byte {size}, within {shown!r}, which begins at byte {at}"
                )
            if kind in _EXTENSIONS:
                next_one.problem = "its extended header is damaged"
            else:
                problem = "its size in the tar cannot be right"
                yield TarEntry(name, is_utf8, begin, 0, problem, True)
                next_one = _Extended()
            at = rest
            continue
        at = begin + -(-length // BLOCK) * BLOCK
        if kind == _LONG_LINK:
            continue
        if kind in _EXTENSIONS:
            if length > _MAX_EXTENDED:
                next_one.problem = f"its extended header has {length} bytes"
            elif kind == _LONG_NAME:
                next_one.name = read(begin, begin + length).split(b"\0", 1)[0]
                next_one.is_utf8 = False
            else:
                fields = _fields(read(begin, begin + length))
                if fields is None:
                    next_one.problem = "its extended header is damaged"
                elif kind == _PAX_GLOBAL:
                    known = {**known, **fields}
                else:
                    _extend(next_one, {**known, **fields})
            continue
        if kind == _SPARSE:
            begin, at = _behind_sparse_map(read, block, at, begin, size)
        yield from _member(kind, name, is_utf8, begin, length, next_one)
        next_one = _Extended()
        if known:
            _extend(next_one, known)


def _member(
    kind: bytes, name: bytes, is_utf8: bool, begin: int, length: int, extended: _Extended
) -> Iterator[TarEntry]:
    if kind in (_FOLDER, _DUMP_FOLDER, _LABEL) or name.endswith(b"/"):
        return
    problem, damaged = extended.problem, bool(extended.problem)
    if not problem:
        what = _NO_FILE.get(kind) or _UNREADABLE.get(b"S" if extended.sparse else kind)
        problem = f"the member is {what}" if what else ""
    yield TarEntry(name, is_utf8, begin, length, problem, damaged)


def _is_header(block: bytes) -> bool:
    stored = _number(block[148:156])
    if stored is None or not stored:
        return False
    unsigned = sum(block) - sum(block[148:156]) + 8 * 32
    if stored == unsigned:
        return True
    signed = unsigned - 256 * sum(one > 127 for one in block[:148] + block[156:])
    return stored == signed  # as some old programs computed it


def _search(read: Read, at: int, size: int) -> int:
    """The offset of the next header, or `size`.

    Only headers of POSIX and GNU count: any bytes with the right sum are a header of older kinds.
    """
    length = 8 * BLOCK
    while at + BLOCK <= size:
        data = read(at, min(at + length, size))
        length = min(2 * length, _SCAN)  # so that a near header is found with little reading
        for begin in range(0, len(data) - BLOCK + 1, BLOCK):
            if data[begin + 257 : begin + 262] == b"ustar" and _is_header(
                data[begin : begin + BLOCK]
            ):
                return at + begin
        at += len(data) // BLOCK * BLOCK
    return size


def _name(block: bytes) -> bytes:
    name = block[:100].split(b"\0", 1)[0]
    if block[257:263] == b"ustar\0":  # GNU's own format has other things where POSIX has a prefix
        prefix = block[345:500].split(b"\0", 1)[0]
        return prefix + b"/" + name if prefix else name
    return name


def _length(kind: bytes, block: bytes, extended: _Extended) -> int | None:
    """How many bytes follow the header; None if the size is no number."""
    if kind in _NO_FILE or kind == _FOLDER:
        return 0  # some programs give links and folders a size, but no bytes
    if extended.size and kind not in _EXTENSIONS:
        return int(extended.size) if extended.size.isdigit() and len(extended.size) < 20 else None
    return _number(block[124:136])


def _number(field: bytes) -> int | None:
    """A number in octal digits, or in binary if the highest bit of the field is set."""
    if field[0] & 0x80:
        number = int.from_bytes(field, "big") & ((1 << (8 * len(field) - 1)) - 1)
        return number if number < 1 << 63 and field[0] != 0xFF else None
    digits = field.split(b"\0", 1)[0].strip()
    if digits.strip(b"01234567"):
        return None
    return int(digits, 8) if digits else 0


def _behind_sparse_map(read: Read, block: bytes, at: int, begin: int, size: int) -> tuple[int, int]:
    """Where the bytes of a sparse file begin and where the next header is.

    The header says by a flag whether more blocks with parts of the map follow.
    """
    more = block[482]
    while more and begin + BLOCK <= size:
        more = read(begin, begin + BLOCK)[504]
        begin, at = begin + BLOCK, at + BLOCK
    return begin, at


def _fields(data: bytes) -> dict[str, bytes] | None:
    """The fields of a pax header: lines of a length, a key and a value. None if it is damaged."""
    found: dict[str, bytes] = {}
    at = 0
    while at < len(data) and data[at]:
        space = data.find(b" ", at, at + 20)
        digits = data[at:space] if space > 0 else b""
        if not digits.isdigit():
            return None
        end = at + int(digits)
        key, sign, value = data[space + 1 : end - 1].partition(b"=")
        if end <= space + 1 or data[end - 1 : end] != b"\n" or not sign:
            return None
        name = key.decode("utf-8", "replace")
        if name in _KEYS:
            found[name] = value
        elif name.startswith("GNU.sparse."):
            found.setdefault("GNU.sparse.name", b"")
        at = end
    return found


def _extend(extended: _Extended, fields: Mapping[str, bytes]) -> None:
    name = fields.get("GNU.sparse.name") or fields.get("path")
    if name:
        extended.name = name
        extended.is_utf8 = fields.get("hdrcharset") != b"BINARY"
    extended.size = fields.get("size", b"")
    extended.sparse = "GNU.sparse.name" in fields
