"""What looks like a secret is found and not repeated; what does not is let pass."""

from __future__ import annotations

from typing import Any

import pytest

from beam_mat.core.credentials import credential_in, secrets_in, without_credentials


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({"s3": {"key": "a", "secret": "b"}}, ["s3.key", "s3.secret"]),
        ({"gs": {"token": "ya29.x"}}, ["gs.token"]),
        ({"gs": {"token": {"private_key": "x"}}}, ["gs.token"]),
        ({"abfs": {"sas_token": "x", "account_name": "me"}}, ["abfs.sas_token"]),
        ({"sftp": {"host": "h", "username": "me", "password": "x"}}, ["sftp.password"]),
        (
            {"http": {"headers": {"Authorization": "x"}}},
            ["http.headers.Authorization"],
        ),
        ({"s3": {"client_kwargs": {"proxy": "http://me:x@proxy"}}}, ["s3.client_kwargs.proxy"]),
        ({"gs": {"token": "anon"}, "s3": {"anon": True, "key": None}}, []),
        ({"gs": {"token": "google_default", "endpoint_url": "http://h:1"}}, []),
        ({"hf": {"token": False}, "keyed": {"host": "h"}}, []),
    ],
)
def test_secrets_among_options_are_named(options: dict[str, Any], names: list[str]) -> None:
    assert list(secrets_in(options)) == names


@pytest.mark.parametrize(
    "uri",
    [
        "gs://bucket/a.json",
        "s3://bucket/a@b:c/d.zip",
        "hf://datasets/someone/MAT@main/a.json",
        "sftp://me@host/a.json",
        "gs://bucket/what?token=1",
        "https://host/a.json?version=3",
        "/data/me:word@here/a.json",
        "https://[host/a.json",
    ],
)
def test_addresses_without_credentials_pass(uri: str) -> None:
    assert credential_in(uri) is None
    assert without_credentials(uri) == uri


@pytest.mark.parametrize(
    ("uri", "told"),
    [
        ("sftp://me:hush@host/a.json", "sftp://…@host/a.json"),
        ("zip://a.json::https://me:hush@host/a.zip", "zip://a.json::https://…@host/a.zip"),
        ("https://host/a.json?x=1&X-Goog-Signature=hush", "https://host/a.json?…"),
        ("https://host/a.json?sv=2&sig=hush", "https://host/a.json?…"),
        ("https://me:hush@host/a?token=hush", "https://…@host/a?…"),
    ],
)
def test_addresses_with_credentials_are_found_and_told_without(uri: str, told: str) -> None:
    assert credential_in(uri)
    assert without_credentials(uri) == told
