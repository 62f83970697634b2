"""Turns MAT trajectories and their images into a dataset that LLaMA-Factory trains on."""

__version__ = "0.1.0"
