"""Runs a graph as Dataflow got it: ``python staged.py PIPELINE ENVIRONMENT REPORT``.

Only the container is another: the in-process runner's own (``EMBEDDED_PYTHON``) or a worker process
(``SUBPROCESS_SDK``). This package is imported from wherever the path of this process says.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path

from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.portability import python_urns
from apache_beam.portability.api import beam_runner_api_pb2
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

WORKER = b"%s -m apache_beam.runners.worker.sdk_worker_main" % sys.executable.encode()


def main(pipeline: Path, environment: str, report: Path) -> None:
    graph = beam_runner_api_pb2.Pipeline.FromString(pipeline.read_bytes())
    for container in graph.components.environments.values():
        del container.dependencies[:]
        container.urn = getattr(python_urns, environment)
        container.payload = WORKER if environment == "SUBPROCESS_SDK" else b""
    result = FnApiRunner().run_via_runner_api(graph, PipelineOptions([]))
    result.wait_until_finish()
    counters: Counter[str] = Counter()
    for metric in result.metrics().query()["counters"]:
        counters[metric.key.metric.name] += metric.result
    import beam_mat

    report.write_text(json.dumps({"package": beam_mat.__file__, "counters": counters}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]))
