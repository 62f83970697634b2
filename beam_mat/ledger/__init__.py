"""The log of a watched dataset, written: what is finished becomes a generation."""

from beam_mat.ledger.adopt import adopt
from beam_mat.ledger.ledger import Ledger

__all__ = ["Ledger", "adopt"]
