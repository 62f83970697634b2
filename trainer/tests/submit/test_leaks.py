from __future__ import annotations

from mat_trainer.submit import leaks

SECRET = "hf_do_not_tell_me"


def test_an_at_in_a_path_is_no_password() -> None:
    assert leaks.faults({"--dataset": "gs://bucket/a@b"}) == []


def test_a_password_in_a_uri_is_told_and_not_repeated() -> None:
    (fault,) = leaks.faults({"--dataset": f"s3://me:{SECRET}@host/mat", "--output-dir": "/a@b"})
    assert fault.startswith("--dataset ")
    assert SECRET not in fault


def test_a_secret_of_the_environment_is_found_in_a_text() -> None:
    environment = {"HF_TOKEN": SECRET, "AWS_SECRET_ACCESS_KEY": "abcdefghij", "HOME": "/home/me/x"}
    assert leaks.leaks(f"run_name: {SECRET}-1 /home/me/x", environment)[0].startswith(
        "the value of HF_TOKEN would be in the job file"
    )
    assert leaks.leaks("run_name: /home/me/x", environment) == []


def test_a_short_value_is_no_secret() -> None:
    assert leaks.leaks("nodes: 1", {"MY_TOKEN": "1"}) == []
