"""The lists of Beam's options and runners are those of the Beam that is installed."""

from __future__ import annotations

import importlib.util
from types import ModuleType

from apache_beam.options.pipeline_options import StandardOptions

from beam_mat.runners import choose
from tests.command import ROOT


def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("made", ROOT / "scripts" / "beam_options.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_list_is_up_to_date() -> None:
    made = script()
    assert made.DATA.read_text() == made.options(), "run scripts/beam_options.py"


def test_every_runner_of_beam_is_known() -> None:
    names = StandardOptions.KNOWN_RUNNER_NAMES
    assert {name.lower().removesuffix("runner") for name in names} == choose.RUNNERS


def test_an_unknown_runner_is_a_fault_with_its_cure() -> None:
    assert choose.runner_faults(["--runner=FlinkRuner"], {}, detach=False) == [
        "--runner FlinkRuner: unknown runner; did you mean FlinkRunner?"
    ]
    (fault,) = choose.runner_faults(["--runner=Nope"], {}, detach=False)
    assert fault == "--runner Nope: unknown runner; give PrismRunner, DataflowRunner or FlinkRunner"
    assert choose.runner_faults(["--runner=my.module.Runner"], {}, detach=False) == []
