"""LLaMA-Factory's data contract: which data violate it, and what LLaMA-Factory then does."""
