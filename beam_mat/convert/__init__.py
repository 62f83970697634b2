"""``beam-mat convert``: its configuration, its graph and its driver."""
