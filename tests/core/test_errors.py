"""The tree of errors: complete, with the exit codes that the command documents."""

from __future__ import annotations

import inspect
import pickle

import pytest

from beam_mat.core import errors

TREE = {
    errors.BeamMatError: 1,
    errors.ConfigError: 2,
    errors.NothingAskedError: 2,
    errors.SourceError: 1,
    errors.ShardError: 1,
    errors.StoreError: 1,
    errors.OutputError: 1,
    errors.OutputInUseError: 1,
    errors.UnfinishedError: 1,
    errors.WorkerLostError: 1,
    errors.LostRecordError: 1,
    errors.TooManyRejectedError: 3,
    errors.DamagedError: 3,
}


def test_the_tree_is_complete() -> None:
    defined = {
        kind
        for _, kind in inspect.getmembers(errors, inspect.isclass)
        if kind.__module__ == errors.__name__
    }
    assert defined == set(TREE)
    assert all(issubclass(kind, errors.BeamMatError) for kind in defined)


@pytest.mark.parametrize(("kind", "code"), TREE.items())
def test_each_error_has_its_exit_code_and_travels_between_processes(
    kind: type[errors.BeamMatError], code: int
) -> None:
    error = kind(["one", "two"]) if kind is errors.ConfigError else kind("one")
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), again.exit_code) == (kind, str(error), code)


def test_a_configuration_error_keeps_every_fault() -> None:
    error = pickle.loads(pickle.dumps(errors.ConfigError(["No --json.", "No --output."])))
    assert error.faults == ["No --json.", "No --output."]
    assert str(error) == "No --json.\nNo --output."
