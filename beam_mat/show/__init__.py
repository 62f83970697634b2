"""``beam-mat show``: one trajectory, or a rejected record, so that one can read it."""

from beam_mat.show.command import command_line, show

__all__ = ["command_line", "show"]
