"""The state of a run, from LLaMA-Factory's own log."""
