"""Hostile pictures of each kind that once took much memory or time, and mutations of valid ones.

`hostile` yields names and bytes; `size` is about the number of bytes of those that grow. At some
MiB, a step that is quadratic, or memory that grows with the number of parts, shows.
"""

from __future__ import annotations

import io
import random
import struct
import zlib
from collections.abc import Iterator

from PIL import Image

PNG = b"\x89PNG\r\n\x1a\n"
SEGMENT = 0xFFFF - 2
"""Bytes that fit into a segment of a JPEG."""


def _saved(
    format: str, mode: str = "RGB", size: tuple[int, int] = (48, 40), **options: object
) -> bytes:
    noise = random.Random(f"{format} {mode}").randbytes(size[0] * size[1] * 3)
    file = io.BytesIO()
    Image.frombytes("RGB", size, noise).convert(mode).save(file, format, **options)
    return file.getvalue()


def _chunk(kind: bytes, body: bytes = b"") -> bytes:
    return struct.pack(">L", len(body)) + kind + body + struct.pack(">L", zlib.crc32(kind + body))


def _segment(marker: int, body: bytes = b"") -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


def _shared_tags(entries: int, size: int, first: int = 0xC000) -> bytes:
    """EXIF whose tags all name the same bytes: those of the whole EXIF."""
    tags = (struct.pack("<HHLL", first + n & 0xFFFF, 1, size - 8, 8) for n in range(entries))
    return (b"II*\0\x08\0\0\0" + struct.pack("<H", entries) + b"".join(tags)).ljust(size, b"\0")


def jpegs(size: int) -> Iterator[tuple[str, bytes]]:
    """Hostile JPEGs."""
    plain, progressive = _saved("JPEG"), _saved("JPEG", progressive=True)
    head, body = plain[:2], plain[2:]
    exif = b"Exif\0\0" + _shared_tags(5000, SEGMENT - 6)
    yield "jpeg one exif", head + _segment(0xE1, exif) + body
    more = b"".join(_segment(0xE1, b"Exif\0\0" + bytes(SEGMENT - 6)) for _ in range(size >> 16))
    yield "jpeg exif segments", head + _segment(0xE1, exif) + more + body
    without_jfif = b"\xff\xd8" + plain[20:]
    yield "jpeg exif without JFIF", head + _segment(0xE1, exif) + without_jfif[2:]
    yield (
        "jpeg mpf",
        head + _segment(0xE2, b"MPF\0" + _shared_tags(5000, SEGMENT - 4, 0xB000)) + body,
    )
    yield "jpeg empty segments", head + _segment(0xE5) * (size // 4) + body
    yield "jpeg comments", head + _segment(0xFE, b"x") * (size // 5) + body
    yield "jpeg tables", head + _segment(0xC4) * (size // 4) + body
    yield "jpeg restarts", head + b"\xff\xd0" * (size // 2) + body
    yield "jpeg fill bytes", head + b"\xff" * size + body
    yield "jpeg zeros between", head + _segment(0xFE) + b"\0" * size + body
    blocks = b"Photoshop 3.0\0" + b"8BIM\x04\x04\0\0\0\0\0\0" * 5000
    yield "jpeg photoshop", head + _segment(0xED, blocks) * (size >> 16) + body
    yield "jpeg trailer", plain + bytes(size)
    start = progressive.rindex(b"\xff\xda")
    scan = progressive[start:-2]
    yield "jpeg scans", progressive[:-2] + scan * (size // len(scan)) + b"\xff\xd9"
    short = scan[:12]
    yield "jpeg empty scans", progressive[:-2] + short * (size // len(short)) + b"\xff\xd9"
    flood = _segment(0xFE) * (size // 4)
    yield "jpeg segments between scans", progressive[:start] + flood + progressive[start:]
    yield "jpeg fill between scans", progressive[:start] + b"\xff" * size + progressive[start:]
    large = plain.replace(struct.pack(">HH", 40, 48), struct.pack(">HH", 65535, 65535))
    yield "jpeg huge", large
    wide = progressive.replace(struct.pack(">HH", 40, 48), struct.pack(">HH", 8000, 8000))
    yield "jpeg large and empty", wide


def pngs(size: int) -> Iterator[tuple[str, bytes]]:
    """Hostile PNGs."""
    plain = _saved("PNG")
    end = plain[-12:]
    head, rest = plain[:33], plain[33:]
    zeros = _chunk(b"IDAT", zlib.compress(bytes(65 * 64)))
    yield "png no palette", _png((64, 64), 3, _chunk(b"tRNS", b"\0") + zeros)
    yield "png private chunks", head + _chunk(b"prVt") * (size // 12) + rest
    yield "png private chunks behind", plain[:-12] + _chunk(b"prVt") * (size // 12) + end
    yield "png empty pixels", head + _chunk(b"IDAT") * (size // 12) + rest
    yield (
        "png frames",
        head + _chunk(b"acTL", bytes(8)) + _chunk(b"fcTL", bytes(26)) * (size // 38) + rest,
    )
    yield "png large private chunk", head + _chunk(b"prVt", bytes(size)) + rest
    bomb = zlib.compress(bytes(1 << 20))
    texts = _chunk(b"zTXt", b"a\0\0" + bomb) * min(4000, size // len(bomb))
    yield "png texts", head + texts + rest
    profiles = _chunk(b"iCCP", b"a\0\0" + bomb) * min(4000, size // len(bomb))
    yield "png profiles", head + profiles + rest
    yield "png exif", head + _chunk(b"eXIf", _shared_tags(60000, size)) + rest
    raw = (
        (b"Exif\0\0" + _shared_tags(30000, 1 << 19)[: (1 << 19) - 20])
        .hex()
        .encode()[: (1 << 20) - 40]
    )
    profile = b"Raw profile type exif\0\0" + zlib.compress(b"\nexif\n%d\n" % (len(raw) // 2) + raw)
    yield "png profile with exif", head + _chunk(b"zTXt", profile) + rest
    yield "png trailer", plain + bytes(size)
    yield (
        "png pixels behind the picture",
        _png((8, 8), 2, _chunk(b"IDAT", zlib.compress(bytes(size)))),
    )
    yield "png huge", _png((1 << 31 - 1, 1 << 31 - 1), 2, _chunk(b"IDAT", b""))
    yield "png interlaced and empty", _png((8000, 8000), 6, _chunk(b"IDAT", zlib.compress(b"")), 1)


def _png(size: tuple[int, int], kind: int, chunks: bytes, interlaced: int = 0) -> bytes:
    head = _chunk(b"IHDR", struct.pack(">LLBBBBB", *size, 8, kind, 0, 0, interlaced))
    return PNG + head + chunks + _chunk(b"IEND")


def gifs(size: int) -> Iterator[tuple[str, bytes]]:
    """Hostile GIFs."""
    plain = _saved("GIF", "P")
    at = 13 + (3 << (plain[10] & 7) + 1 if plain[10] & 0x80 else 0)
    head, rest = plain[:at], plain[at:]
    screen = struct.pack("<6sHHBBB", b"GIF89a", 0xFFFF, 0xFFFF, 0, 0, 0)
    image = struct.pack("<BHHHHB", 0x2C, 0, 0, 1, 1, 0) + b"\x02\x02\x44\x01\0;"
    control = b"!\xf9\x04\x08\0\0\0\0"
    yield "gif huge screen", screen + control + image
    far = struct.pack("<BHHHHB", 0x2C, 0xFFFF, 0xFFFF, 0xFFFF, 0xFFFF, 0) + image[10:]
    yield "gif huge image", screen[:6] + struct.pack("<HHBBB", 1, 1, 0, 0, 0) + control + far
    block = b"\xff" + b"x" * 255
    yield "gif comment", head + b"!\xfe" + block * (size // 256) + b"\0" + rest
    yield "gif small comments", head + b"!\xfe\x01x\0" * (size // 5) + rest
    yield "gif comment of small blocks", head + b"!\xfe" + b"\x01x" * (size // 2) + b"\0" + rest
    yield "gif large comments", head + (b"!\xfe" + block + b"\0") * (size // 259) + rest
    yield "gif controls", head + control * (size // 8) + rest
    yield "gif extensions", head + b"!\xff\x01x\0" * (size // 5) + rest
    yield "gif junk", head + b"x" * size + rest
    yield "gif small blocks", plain[:-2] + b"\x01x" * (size // 2) + b"\0;"
    yield "gif trailer", plain + bytes(size)


def webps(size: int) -> Iterator[tuple[str, bytes]]:
    """Hostile WebPs."""
    plain = _saved("WEBP")
    vp8 = plain[12:]
    for name, side in (("huge", 16383), ("large", 8000)):
        canvas = struct.pack("<L", 2) + 2 * (side - 1).to_bytes(3, "little")
        frame = bytes(6) + (47).to_bytes(3, "little") + (39).to_bytes(3, "little") + bytes(4) + vp8
        chunks = _riff(b"VP8X", canvas) + _riff(b"ANIM", bytes(6)) + _riff(b"ANMF", frame)
        yield f"webp {name} canvas", _webp(chunks)
    head = _riff(
        b"VP8X", struct.pack("<L", 4) + (47).to_bytes(3, "little") + (39).to_bytes(3, "little")
    )
    yield "webp chunks", _webp(head + vp8 + _riff(b"prVt") * (size // 8))
    exif = struct.pack("<L", 8) + head[12:]
    yield "webp exif", _webp(_riff(b"VP8X", exif) + vp8 + _riff(b"EXIF", _shared_tags(60000, size)))
    lossless = bytearray(_saved("WEBP", "RGBA", lossless=True))
    lossless[21:25] = (16382 | 16382 << 14).to_bytes(4, "little")
    yield "webp huge lossless", bytes(lossless)


def _riff(kind: bytes, body: bytes = b"") -> bytes:
    return kind + struct.pack("<L", len(body)) + body + b"\0" * (len(body) % 2)


def _webp(chunks: bytes) -> bytes:
    return b"RIFF" + struct.pack("<L", len(chunks) + 4) + b"WEBP" + chunks


def _tiff(tags: dict[int, tuple[int, int, int]], data: bytes = b"") -> bytes:
    """A TIFF of tags (type, number, value or offset), with `data` at offset 8."""
    entries = (struct.pack("<HHLL", tag, *value) for tag, value in sorted(tags.items()))
    directory = struct.pack("<H", len(tags)) + b"".join(entries) + bytes(4)
    return b"II*\0" + struct.pack("<L", 8 + len(data)) + data + directory


def tiffs(size: int) -> Iterator[tuple[str, bytes]]:
    """Hostile TIFFs."""
    pixels = bytes(64)
    base = {
        256: (3, 1, 8), 257: (3, 1, 8), 258: (3, 1, 8), 259: (3, 1, 1), 262: (3, 1, 1),
        273: (4, 1, 8), 277: (3, 1, 1), 278: (3, 1, 8), 279: (4, 1, 64),
    }  # fmt: skip
    yield "tiff", _tiff(base, pixels)
    many = {0xC000 + n & 0xFFFF: (1, size, 8) for n in range(60000)}
    yield "tiff needed tags that share values", _tiff({**many, **base}, pixels.ljust(size, b"\0"))
    many = {n: value for n, value in many.items() if n >= 0xC000}
    yield "tiff tags that share values", _tiff({**many, **base}, pixels.ljust(size, b"\0"))
    exif = _shared_tags(60000, size)
    yield "tiff exif", _tiff({**base, 34665: (4, 1, 72)}, pixels + exif[8:])
    strips = {**base, 273: (4, size // 4, 8), 279: (4, size // 4, 8), 278: (3, 1, 1)}
    for name, compression in (("", 1), (" in LZW", 5)):
        yield f"tiff strips{name}", _tiff({**strips, 259: (3, 1, compression)}, bytes(size))
        tiles = {tag: value for tag, value in base.items() if tag not in (273, 278, 279)}
        tiles |= {322: (4, 1, 1 << 15), 323: (4, 1, 1 << 15), 324: (4, 1, 8), 325: (4, 1, 64)}
        tiles |= {259: (3, 1, compression)}
        yield f"tiff large tile{name}", _tiff(tiles, pixels)
        tiles |= {256: (3, 1, 8000), 257: (3, 1, 8000), 322: (4, 1, 1), 323: (4, 1, 1)}
        yield f"tiff small tiles{name}", _tiff(tiles, pixels)
        large = {**base, 256: (4, 1, 8000), 257: (4, 1, 8000), 278: (4, 1, 8000)}
        yield f"tiff large{name}", _tiff({**large, 259: (3, 1, compression)}, pixels)
    yield (
        "tiff samples",
        _tiff({**base, 258: (3, size // 2, 8), 277: (4, 1, size // 2)}, bytes(size)),
    )
    yield "tiff colours", _tiff({**base, 262: (3, 1, 3), 320: (3, size // 2, 8)}, bytes(size))
    yield "tiff huge", _tiff({**base, 256: (4, 1, 0xFFFFFFFF), 257: (4, 1, 0xFFFFFFFF)}, pixels)
    big = struct.pack("<2sHHHQQ", b"II", 43, 8, 0, 16, 1 << 63)
    yield "tiff of 64 bits", big + bytes(100)
    for compression in (2, 3, 4, 6, 7, 32809, 34676, 34925, 50001):
        yield f"tiff compression {compression}", _tiff({**base, 259: (3, 1, compression)}, pixels)


def others(size: int) -> Iterator[tuple[str, bytes]]:
    """Hostile BMPs, and formats that only `check` may meet."""

    def bmp(width: int, height: int, packing: int, data: bytes, colours: int = 0) -> bytes:
        head = struct.pack("<LllHHLLllLL", 40, width, height, 1, 8, packing, 0, 0, 0, colours, 0)
        return struct.pack("<2sLLL", b"BM", 0, 0, 54 + 1024) + head + bytes(1024) + data

    yield "bmp line ends", bmp(8, 8, 1, b"\0\0" * (size // 2))
    yield "bmp jumps", bmp(2000, 2000, 1, b"\0\2\xff\xff" * (size // 4))
    yield "bmp runs of large pictures", bmp(8000, 8000, 1, b"\1x" * (size // 2))
    yield "bmp one line", bmp(2000000, 2, 1, b"\1x\0\0")
    yield "bmp huge", bmp(0x7FFFFFFF, -0x7FFFFFFF, 0, b"")
    yield "bmp large and short", bmp(8000, 8000, 0, b"x")
    yield "bmp colours", bmp(8, 8, 0, bytes(64), 0xFFFFFFFF)
    icon = _png((30000, 30000), 6, _chunk(b"IDAT", zlib.compress(b"")))
    entry = struct.pack("<BBBBHHLL", 0, 0, 0, 0, 1, 32, len(icon), 22)
    yield "ico huge", struct.pack("<HHH", 0, 1, 1) + entry + icon
    yield (
        "icns",
        b"icns" + struct.pack(">L", 0x7FFFFFFF) + b"ic10" + struct.pack(">L", 0x7FFFFFF0) + icon,
    )
    yield (
        "icns parts",
        b"icns" + struct.pack(">L", size + 8) + (b"icp4" + struct.pack(">L", 8)) * (size // 8),
    )
    yield "ppm", b"P6 60000 60000 255\n"
    yield "ppm text", b"P3 1000 1000 255\n" + b"1" * size
    yield "zeros", bytes(size)
    yield "text", b"x" * size


def hostile(size: int) -> Iterator[tuple[str, bytes]]:
    """Yields a picture of each kind."""
    for kind in (jpegs, pngs, gifs, webps, tiffs, others):
        yield from kind(size)


def valid() -> dict[str, bytes]:
    """Small valid pictures of the formats that are accepted, by name."""
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010E] = "A picture."
    found = {
        "jpeg": _saved("JPEG", exif=exif, comment=b"x"),
        "jpeg progressive": _saved("JPEG", progressive=True),
        "jpeg cmyk": _saved("JPEG", "CMYK"),
        "png": _saved("PNG", exif=exif),
        "png palette": _saved("PNG", "P", transparency=1),
        "png grey": _saved("PNG", "I;16"),
        "gif": _saved("GIF", "P", transparency=1, comment=b"x"),
        "webp": _saved("WEBP", exif=exif),
        "webp lossless": _saved("WEBP", "RGBA", lossless=True),
        "bmp": _saved("BMP"),
    }
    for name in ("raw", "tiff_lzw", "tiff_adobe_deflate", "packbits", "zstd", "jpeg"):
        found[f"tiff {name}"] = _saved("TIFF", compression=name)
    for name in ("group3", "group4", "tiff_ccitt"):
        found[f"tiff {name}"] = _saved("TIFF", "1", compression=name)
    return found


def mutations(number: int, seed: int = 0) -> Iterator[tuple[str, bytes]]:
    """Yields `number` damaged pictures, the same for the same seed."""
    chosen = random.Random(seed)
    pictures = valid()
    names = sorted(pictures)
    for n in range(number):
        name = names[n % len(names)]
        data = bytearray(pictures[name])
        for _ in range(chosen.randint(1, 5)):
            near = chosen.random() < 0.5
            at = chosen.randrange(min(len(data), 200) if near else len(data))
            match chosen.randrange(5):
                case 0:
                    data[at] ^= 1 << chosen.randrange(8)
                case 1:
                    data[at] = chosen.choice((0, 1, 0x7F, 0x80, 0xFE, 0xFF))
                case 2:
                    data[at : at + 4] = chosen.choice((b"\xff\xff\xff\x7f", bytes(4), b"\0\0\1\0"))
                case 3:
                    data[at:at] = data[at : at + chosen.randint(1, 40)]
                case _:
                    del data[at : at + chosen.randint(1, 40)]
            data = data or bytearray(b"x")
        damaged = bytes(data)
        if damaged.startswith(PNG) and chosen.random() < 0.8:
            damaged = _with_checksums(damaged)
        yield f"{name}, mutation {seed}.{n}", damaged


def _with_checksums(data: bytes) -> bytes:
    """A PNG with the right checksums, so that damage reaches its decoder."""
    at, chunks = len(PNG), [PNG]
    while at + 8 <= len(data):
        end = at + 8 + int.from_bytes(data[at : at + 4], "big")
        chunks.append(_chunk(data[at + 4 : at + 8], data[at + 8 : end]))
        at = end + 4
    return b"".join(chunks)
