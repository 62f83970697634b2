"""Whether a model on the hub can be had, before a library tries for minutes."""

from __future__ import annotations

import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import quote

SECONDS = 10.0
_ENDPOINT = "https://huggingface.co"
_TRUE = ("1", "ON", "YES", "TRUE")  # as huggingface_hub reads its variables


def fault(settings: Mapping[str, Any], environment: Mapping[str, str]) -> str | None:
    """Why a model of the hub cannot be fetched; None if it can, or nobody knows before."""
    name = str(settings["model_name_or_path"])
    if any(_is_true(environment, f"USE_{hub}_HUB") for hub in ("MODELSCOPE", "OPENMIND")):
        return None
    said = (
        f"model_name_or_path {name}: its files are not all in the hub's cache of this machine, and "
    )
    cures = (
        "use a local folder, or fill the cache where there is a network (hf download "
        f"{name}) and set HF_HUB_OFFLINE=1, or set HF_ENDPOINT to a mirror"
    )
    if any(_is_true(environment, key) for key in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")):
        return f"{said}HF_HUB_OFFLINE is set: {cures}"
    endpoint = environment.get("HF_ENDPOINT", _ENDPOINT).rstrip("/")
    revision = str(settings.get("model_revision") or "main")
    url = f"{endpoint}/{quote(name)}/resolve/{quote(revision)}/config.json"
    request = urllib.request.Request(url, method="HEAD")
    if token := environment.get("HF_TOKEN") or _kept_token(environment):
        request.add_header("Authorization", f"Bearer {token}")
    try:
        with urllib.request.urlopen(request, timeout=SECONDS):
            return None
    except urllib.error.HTTPError as error:
        if error.code in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND):
            return (
                f"{said}{endpoint} answers {error.code} {error.reason} for it: correct the name, "
                "or accept the model's terms there and set HF_TOKEN"
            )
        return None  # the libraries try again
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        if isinstance(reason, ssl.SSLError):
            return None  # the libraries bring certificates of their own
        return f"{said}{endpoint} cannot be reached ({reason}): {cures}"


def _is_true(environment: Mapping[str, str], key: str) -> bool:
    return environment.get(key, "").upper() in _TRUE


def _kept_token(environment: Mapping[str, str]) -> str:
    """The token of ``hf auth login``."""
    home = environment.get("HF_HOME") or Path.home() / ".cache" / "huggingface"
    try:
        return Path(environment.get("HF_TOKEN_PATH") or Path(home, "token")).read_text().strip()
    except OSError:
        return ""
