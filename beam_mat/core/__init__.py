"""The meaning of the data: pure Python on bytes and values, without Beam, fsspec or Arrow."""
