"""Beam's edge: each transform wires what core and storage do, and thinks nothing of its own."""
