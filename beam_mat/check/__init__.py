"""``beam-mat check``: checks whether LLaMA-Factory can train on a dataset."""
