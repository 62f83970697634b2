"""Datasets at hand: read, verified, staged from afar, filtered by length."""
