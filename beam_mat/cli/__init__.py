"""The command line: a small file a command. See `beam_mat.cli.entry`."""

from beam_mat.cli.entry import main

__all__ = ["main"]
