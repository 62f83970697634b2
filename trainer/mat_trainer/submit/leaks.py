"""Tokens stay where they are: no job file, ConfigMap or command line carries one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import urlsplit

SECRET_NAME = re.compile(r"(^|_)(token|api_?key|access_?key|secret|password)$", re.IGNORECASE)
SHORTEST = 8
"""Shorter values of the environment are words that may stand anywhere by chance."""


def faults(settings: Mapping[str, object], uris: Mapping[str, str]) -> list[str]:
    """Secrets in what would be written down. The sentences name the places, never the values.

    Args:
        settings: The recipe's.
        uris: Option to URI.
    """
    found = [
        f"{key}: a secret does not belong in a recipe, which is copied to the cluster; set it in "
        "the job's environment, HF_TOKEN for the model hub"
        for key, value in settings.items()
        if SECRET_NAME.search(key) and isinstance(value, str) and value
    ]
    for option, uri in uris.items():
        if "@" in urlsplit(uri).netloc and "://" in uri:
            found.append(f"{option} holds a user or password before the @; use the environment")
    return found


def leaks(text: str, environment: Mapping[str, str]) -> list[str]:
    """The variables of the environment whose secret values stand in a text, a sentence each."""
    return [
        f"the value of {name} stands in what would be written; take it out of the recipe and the "
        "command line, and give the name of a secret instead"
        for name, value in sorted(environment.items())
        if SECRET_NAME.search(name) and len(value) >= SHORTEST and value in text
    ]
