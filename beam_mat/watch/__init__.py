"""``beam-mat watch``: a dataset that is kept current while shards and zips arrive."""
