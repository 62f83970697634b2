"""Programs for where LLaMA-Factory is installed. The launcher starts, but never imports them."""
