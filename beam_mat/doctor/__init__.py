"""``beam-mat doctor``: what is installed, and what works on this machine."""
