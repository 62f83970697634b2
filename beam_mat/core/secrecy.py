"""What must not be told: where credentials hide in storage options and in addresses.

A guess by names: it may take a harmless value for a secret, which costs a user a file or an
environment variable, and should not take a secret for harmless.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit

_SECRET = re.compile(r"key|secret|token|passw|credential|sas|signature|auth|cert", re.IGNORECASE)

_ADDRESS = re.compile(r"\w+://[^\s'\"<>]+")
_QUERY = re.compile(r"\?([^\s'\"<>?]+)")
_CHAIN = re.compile(r"::(?=[\w+.-]+://)")
"""Between the links of an address, and not in that of a host like [::1]."""

_KNOWN_WORDS = frozenset({"", "anon", "anonymous", "cloud", "google_default", "default"})
"""Values of such names that are no secrets: ways of logging in, not what one logs in with."""


def secrets_in(options: Mapping[str, Any], above: str = "") -> Iterator[str]:
    """Names of options that look like secrets, dotted from the outermost.

    >>> list(secrets_in({"s3": {"secret": "hm", "client_kwargs": {"aws_session_token": "hm"}}}))
    ['s3.secret', 's3.client_kwargs.aws_session_token']
    >>> list(secrets_in({"gs": {"token": "anon", "endpoint_url": "http://localhost:4443"}}))
    []
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
            and not (isinstance(value, str) and value.lower() in _KNOWN_WORDS)
        ) or _has_password(value):
            yield name


def credential_in(uri: str) -> str | None:
    """What in a URI looks like a credential, in words that do not repeat it.

    >>> credential_in("sftp://me:hm@host/file"), credential_in("gs://bucket/a@b:c.zip")
    ('a password', None)
    >>> credential_in("https://host/a.zip?X-Amz-Signature=hm")
    'X-Amz-Signature'
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
    """The URI as it may be told.

    >>> without_credentials("https://me:hm@host/file?sig=hm")
    'https://…@host/file?…'
    """
    return "::".join(map(_link_without_credentials, _CHAIN.split(uri)))


def text_without_credentials(text: str) -> str:
    """A text of others as it may be told: a driver's error may hold a signed address.

    >>> text_without_credentials("503 for url 'https://host/file?Signature=hm' (see gs://b/a?c=1)")
    "503 for url 'https://host/file?…' (see gs://b/a?c=1)"
    >>> text_without_credentials("host='h': retries exceeded with url: /f?Expires=1&Signature=hm")
    "host='h': retries exceeded with url: /f?…"
    """
    text = _ADDRESS.sub(lambda found: without_credentials(found[0]), text)
    return _QUERY.sub(lambda found: "?…" if _secret_of(found[1]) else found[0], text)


def _link_without_credentials(link: str) -> str:
    if _has_password(link):
        link = re.sub(r"://[^/@]*@", "://…@", link)
    return re.sub(r"\?.*", "?…", link) if credential_in(link) else link


def _has_password(value: object) -> bool:
    if not isinstance(value, str) or "://" not in value:
        return False
    try:
        return urlsplit(value).password is not None
    except ValueError:  # an address that is none, such as an unclosed bracket
        return False
