"""The bounds that hold before memory is spent on an input.

Each is far above anything that the published MAT set holds (records of 18 KB, images of a few
megapixels), so that only damaged or hostile input meets one.
"""

MAX_RECORD_BYTES = 8 << 20
"""Bytes of one JSON record. Sixteen times the context of the largest model in use today."""

MAX_NESTING = 64
"""Lists and objects in each other in one record; a MAT record has three."""

MAX_IMAGE_BYTES = 64 << 20
"""Bytes of one image file, unpacked."""

MAX_IMAGE_PIXELS = 1 << 26
"""Width times height of one image: 67 megapixels, 200 MB once decoded to RGB."""

MAX_IMAGE_SIDE = 0xFFFF
"""Width or height: what JPEG can hold. Resizers keep a table as long as the longer side."""

MAX_RECORD_IMAGES = 256
"""Images that one record uses, repetitions counted; each is in its Parquet row."""

MAX_COMPRESSION_RATIO = 200
"""Unpacked over packed size of a zip member above RATIO_FREE_BYTES. JPEG and PNG stay near 1."""

RATIO_FREE_BYTES = 1 << 20
"""Unpacked size up to which any compression ratio is fine."""

MAX_DIRECTORY_BYTES = 256 << 20
"""Bytes of one zip's central directory: some two million images. It is held in memory at once."""

MAX_PATH_BYTES = 900
"""UTF-8 bytes of an image path: object stores allow 1,024 for a whole name, prefix included."""

MAX_NAME_BYTES = 255
"""UTF-8 bytes between two slashes of a path: what local file systems allow."""

MAX_RAW_BYTES = 1 << 20
"""Bytes of the original record that a reject carries; its byte range names the rest."""
