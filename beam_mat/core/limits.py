"""Limits that are checked before an input is loaded into memory.

Each limit is far above everything in the published MAT dataset (records of 18 KB, images of a few
megapixels). Only damaged or hostile input exceeds one.
"""

MAX_RECORD_BYTES = 8 << 20
"""Bytes of one JSON record: sixteen times the context of the largest model in use today."""

MAX_NESTING = 64
"""Nesting depth of lists and objects in one record. A MAT record has a depth of three."""

MAX_CHECKED_NESTING = 256
"""Nesting depth of a row that is checked. LLaMA-Factory fails near 1000, where Python does."""

MAX_IMAGE_BYTES = 64 << 20
"""Bytes of one image file after decompression."""

MAX_IMAGE_PIXELS = 1 << 26
"""Width times height of one image: 67 megapixels. Decoders and conversions take up to 20 bytes for
each pixel, see docs/security.md."""

MAX_IMAGE_SIDE = 0xFFFF
"""Width or height of an image: JPEG's limit. Resizers keep a table as long as the longer side."""

MAX_KEPT_PIXEL_BYTES = 8
MAX_KEPT_EXTRA = 1 << 16
"""Bytes of an image file that stays as it is: so many for each pixel (16 bits in four channels need
8), and so many more. A larger file is written anew."""

MAX_RECORD_IMAGES = 256
"""Images of one record, counting repetitions. Each one is stored in the record's Parquet row."""

MAX_RECORD_IMAGE_BYTES = 128 << 20
"""Bytes of all images of one record as written, counting repetitions: its Parquet row has them."""

MAX_COMPRESSION_RATIO = 200
"""Uncompressed size divided by compressed size of a zip member. JPEG and PNG stay near 1."""

RATIO_FREE_BYTES = 1 << 20
"""Uncompressed size up to which any compression ratio is allowed."""

MAX_DIRECTORY_BYTES = 256 << 20
"""Bytes of a zip's central directory (about two million images). All of it is read into memory."""

MAX_PATH_BYTES = 4096
"""UTF-8 bytes of an image path. Longer than a name may be: `core.layout` shortens it."""

MAX_RAW_BYTES = 1 << 20
"""Bytes of the original record that a reject contains. Its byte range locates the rest."""
