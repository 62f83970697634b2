"""Beam transforms. Each one calls functions of `work` and has as little logic as possible."""
