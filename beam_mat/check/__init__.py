"""``beam-mat check``: holds a dataset against what LLaMA-Factory does with it."""

from beam_mat.check.command import check, command_line, help_text

__all__ = ["check", "command_line", "help_text"]
