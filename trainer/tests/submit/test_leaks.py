from __future__ import annotations

import pytest

from mat_trainer.submit import leaks

SECRET = "hf_do_not_tell_me"


@pytest.mark.parametrize(
    "key",
    [
        "hf_hub_token",
        "ms_hub_token",
        "hub_token",
        "push_to_hub_token",
        "swanlab_api_key",
        "password",
    ],
)
def test_a_token_in_a_recipe_is_told_and_not_repeated(key: str) -> None:
    (fault,) = leaks.faults({"stage": "sft", key: SECRET}, {})
    assert fault.startswith(f"{key}: ")
    assert SECRET not in fault


def test_settings_that_only_sound_like_secrets_are_fine() -> None:
    settings = {
        "include_num_input_tokens_seen": True,
        "hf_hub_token": None,
        "resize_vocab": True,
        "add_special_tokens": "<a>,<b>",
        "hub_private_repo": True,
    }
    assert leaks.faults(settings, {"--dataset": "gs://bucket/a@b"}) == []


def test_a_password_in_a_uri_is_told_and_not_repeated() -> None:
    (fault,) = leaks.faults({}, {"--dataset": f"s3://me:{SECRET}@host/mat", "--output-dir": "/a@b"})
    assert fault.startswith("--dataset ")
    assert SECRET not in fault


def test_a_secret_of_the_environment_is_found_in_a_text() -> None:
    environment = {"HF_TOKEN": SECRET, "AWS_SECRET_ACCESS_KEY": "abcdefghij", "HOME": "/home/me/x"}
    assert leaks.leaks(f"run_name: {SECRET}-1 /home/me/x", environment)[0].startswith(
        "the value of HF_TOKEN stands"
    )
    assert leaks.leaks("run_name: /home/me/x", environment) == []


def test_a_short_value_is_no_secret() -> None:
    assert leaks.leaks("nodes: 1", {"MY_TOKEN": "1"}) == []
