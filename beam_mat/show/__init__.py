"""``beam-mat show``: prints one trajectory, or rejected records, for people to read."""
