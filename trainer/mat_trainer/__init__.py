"""Launches LLaMA-Factory on the datasets that beam-mat writes."""

__version__ = "0.1.0"
