"""How a run is doing, from LLaMA-Factory's own log."""
