"""Finds credentials in storage options and addresses, so that they are never printed or stored.

This is a guess by name. If a harmless value looks like a secret, the user has to pass it in a file
or an environment variable. A secret should never look harmless.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit

_SECRET = re.compile(r"key|secret|token|passw|credential|sas|signature|auth|cert", re.IGNORECASE)

_ADDRESS = re.compile(r"\w+://[^\s'\"<>]+")
_QUERY = re.compile(r"\?([^\s'\"<>?]+)")
_CHAIN = re.compile(r"::(?=[\w+.-]+://)")
"""Separates the links of a chained address. It does not match inside a host such as [::1]."""

_HARMLESS = frozenset({"", "anon", "anonymous", "cloud", "google_default", "default"})
"""Values that are not secret under such a name: they say how to log in, without credentials."""


def secrets_in(options: Mapping[str, Any], above: str = "") -> Iterator[str]:
    """Yields the names of options that look like secrets, as dotted paths.

    >>> list(secrets_in({"s3": {"secret": "hm", "client_kwargs": {"aws_session_token": "hm"}}}))
    ['s3.secret', 's3.client_kwargs.aws_session_token']
    """
    for key, value in options.items():
        name = f"{above}{key}"
        if isinstance(value, Mapping) and not (above and _SECRET.search(key)):
            yield from secrets_in(value, f"{name}.")
        elif (
            above
            and _SECRET.search(key)
            and value is not None
            and not isinstance(value, bool)
            and not (isinstance(value, str) and value.lower() in _HARMLESS)
        ) or _has_password(value):
            yield name


def credential_in(uri: str) -> str | None:
    """Describes a credential in a URI without repeating it, or returns None if there is none.

    >>> credential_in("sftp://me:hm@host/file"), credential_in("https://host/a?X-Amz-Signature=hm")
    ('a password', 'X-Amz-Signature')
    """
    for link in _CHAIN.split(uri):
        if _has_password(link):
            return "a password"
        scheme, sign, rest = link.partition("://")
        name = _secret_of(rest.partition("?")[2])
        if sign and scheme.startswith("http") and name:
            return name
    return None


def _secret_of(query: str) -> str | None:
    names = (name for name, _ in parse_qsl(query, keep_blank_values=True))
    return next((name for name in names if _SECRET.search(name) or name.lower() == "sig"), None)


def without_credentials(uri: str) -> str:
    """The URI with its credentials masked.

    >>> without_credentials("https://me:hm@host/file?sig=hm")
    'https://…@host/file?…'
    """
    links = []
    for link in _CHAIN.split(uri):
        clean = re.sub(r"://[^/@]*@", "://…@", link) if _has_password(link) else link
        links.append(re.sub(r"\?.*", "?…", clean) if credential_in(clean) else clean)
    return "::".join(links)


def text_without_credentials(text: str) -> str:
    """A text with its credentials masked: the error of a driver may contain a signed address.

    >>> text_without_credentials("503 for url 'https://host/file?Signature=hm' (see gs://b/a?c=1)")
    "503 for url 'https://host/file?…' (see gs://b/a?c=1)"
    """
    text = _ADDRESS.sub(lambda found: without_credentials(found[0]), text)
    return _QUERY.sub(lambda found: "?…" if _secret_of(found[1]) else found[0], text)


def _has_password(value: object) -> bool:
    if not isinstance(value, str) or "://" not in value:
        return False
    try:
        return urlsplit(value).password is not None
    except ValueError:  # not a valid address, for example because of an unclosed bracket
        return False
