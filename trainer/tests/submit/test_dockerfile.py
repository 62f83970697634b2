"""The image cannot be built here; what would go wrong with time is compared instead."""

from __future__ import annotations

import re
from pathlib import Path

from mat_trainer.submit import kubernetes

TRAINER = Path(__file__).resolve().parents[2]
DOCKERFILE = (TRAINER / "Dockerfile").read_text()


def test_the_image_has_the_versions_of_the_extra_worker() -> None:
    extra = re.findall(
        r"^worker = \[(.*?)^\]", (TRAINER / "pyproject.toml").read_text(), re.DOTALL | re.MULTILINE
    )
    wanted = set(re.findall(r'"(.+?)"', extra[0]))
    assert wanted
    assert set(re.findall(r"[a-z]+==[\d.]+", DOCKERFILE)) == wanted


def test_volumes_belong_to_the_images_user_who_is_not_root() -> None:
    assert f"--uid {kubernetes.USER} " in DOCKERFILE
    assert re.findall(r"^USER (.*)$", DOCKERFILE, re.MULTILINE) == [str(kubernetes.USER)]
    assert f"install --directory --owner trainer {kubernetes.CACHE}\n" in DOCKERFILE


def test_everything_that_is_copied_is_there_and_sent_to_the_engine() -> None:
    sent = re.findall(r"^!(.*)$", (TRAINER / ".dockerignore").read_text(), re.MULTILINE)
    copied = re.findall(r"^COPY (\S+) ", DOCKERFILE, re.MULTILINE)
    assert sorted(copied) == sorted(sent)
    assert all((TRAINER / name).exists() for name in copied)
