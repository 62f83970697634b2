"""Programs that import LLaMA-Factory. The launcher starts them but never imports them."""
