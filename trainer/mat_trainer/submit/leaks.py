"""Keeps tokens out of job files, ConfigMaps and command lines."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import urlsplit

SECRET_NAME = re.compile(r"(^|_)(token|api_?key|access_?key|secret|password)$", re.IGNORECASE)
SHORTEST = 8
"""Shorter values may be in a text by chance."""


def faults(uris: Mapping[str, str]) -> list[str]:
    """Passwords in URIs, by option. The sentences never repeat them.

    `mat_trainer.core.known_keys` refuses secrets in a recipe.
    """
    return [
        f"{option} has a user name or password before the @; set it in the environment instead"
        for option, uri in uris.items()
        if "@" in urlsplit(uri).netloc and "://" in uri
    ]


def leaks(text: str, environment: Mapping[str, str]) -> list[str]:
    """Environment variables whose secret values are in a text, one sentence each."""
    return [
        f"the value of {name} would be in the job file; remove it from the recipe and the command "
        "line, and pass the name of a secret instead"
        for name, value in sorted(environment.items())
        if SECRET_NAME.search(name) and len(value) >= SHORTEST and value in text
    ]
