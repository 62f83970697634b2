"""LLaMA-Factory's contract with its data: what breaks it, and what happens then."""
