"""What the data means: pure Python on bytes and values, without Beam, fsspec or Arrow."""
