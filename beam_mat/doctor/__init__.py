"""``beam-mat doctor``: what is installed and what works on this machine."""

from beam_mat.doctor.command import command_line, doctor

__all__ = ["command_line", "doctor"]
