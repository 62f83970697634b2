"""Lines as LLaMA-Factory writes them."""

from __future__ import annotations

import json
from datetime import timedelta


def line(step: int, seconds: int, total: int = 100, **more: object) -> str:
    """One line; `more` are further fields, such as loss."""
    fields = {
        "current_steps": step,
        "total_steps": total,
        **more,
        "epoch": step / 10,
        "percentage": round(step / total * 100, 2),
        "elapsed_time": str(timedelta(seconds=seconds)),
        "remaining_time": "0:00:01",
    }
    return json.dumps(fields)
