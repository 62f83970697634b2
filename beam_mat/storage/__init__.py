"""Files in and out: fsspec on one side, plain bytes and values on the other. No Beam here."""
