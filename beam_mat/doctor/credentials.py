"""Which credentials are present: names of variables and files, never their contents.

No file is opened and no service is contacted. Values of variables are not printed either, not even
when they should be paths: people put keys there by mistake.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from beam_mat.doctor.finding import Finding, State

_AWS_VARIABLES = (
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_PROFILE",
    "AWS_ROLE_ARN",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
)


def credentials(environment: Mapping[str, str], home: Path) -> Iterator[Finding]:
    """Finds credentials for Google, Amazon and Hugging Face. `home` is the user's folder."""
    aws = [
        *_variables(environment, *_AWS_VARIABLES),
        *_file(environment, "AWS_SHARED_CREDENTIALS_FILE", home / ".aws" / "credentials", home),
        *_file(environment, "AWS_CONFIG_FILE", home / ".aws" / "config", home),
    ]
    cache = Path(environment.get("XDG_CACHE_HOME") or home / ".cache")
    hub = Path(environment.get("HF_HOME") or cache / "huggingface")
    hugging_face = [
        *_variables(environment, "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"),
        *_file(environment, "HF_TOKEN_PATH", hub / "token", home),
    ]
    for what, found, cure in (
        (
            "Google",
            _google(environment, home),
            "gcloud auth application-default login, or on Google's machines a service account",
        ),
        ("AWS", aws, "aws configure, AWS_* variables, or on Amazon's machines a role"),
        ("Hugging Face", hugging_face, "hf auth login, or HF_TOKEN; public data sets need none"),
    ):
        if found:
            yield Finding(what, State.GOOD, "; ".join(found))
        else:
            yield Finding(what, State.ABSENCE, "no credentials found", cure)
    settings = sorted(name for name in environment if name.startswith("FSSPEC_"))
    if settings:
        yield Finding("fsspec", State.GOOD, ", ".join(f"{name} is set" for name in settings))


def _google(environment: Mapping[str, str], home: Path) -> list[str]:
    name = "application_default_credentials.json"
    config = environment.get("CLOUDSDK_CONFIG")
    folder = Path(config) if config else home / ".config" / "gcloud"
    found = _file(environment, "GOOGLE_APPLICATION_CREDENTIALS", None, home)
    if _is_file(folder / name):
        shown = f"$CLOUDSDK_CONFIG/{name}" if config else _shown(folder / name, home)
        found.append(f"{shown} exists")
    return found


def _variables(environment: Mapping[str, str], *names: str) -> list[str]:
    return [f"{name} is set" for name in names if environment.get(name)]


def _file(
    environment: Mapping[str, str], variable: str, default: Path | None, home: Path
) -> list[str]:
    if named := environment.get(variable):
        there = "names a file" if _is_file(Path(named)) else "names a file that does not exist"
        return [f"{variable} {there}"]
    if default is not None and _is_file(default):
        return [f"{_shown(default, home)} exists"]
    return []


def _shown(path: Path, home: Path) -> str:
    # A folder elsewhere comes from a variable, whose value is not printed.
    inside = path.is_relative_to(home)
    return f"~/{path.relative_to(home).as_posix()}" if inside else f"a file named {path.name}"


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a key instead of a path may be too long
        return False
