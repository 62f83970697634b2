"""Runs a streaming graph as Dataflow got it, on Prism: ``python staged_stream.py PIPELINE PRISM``.

Only the container is another: worker processes of a pool, which import this package from wherever
the path of this process says. Ends when it is ended.
"""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import time
from pathlib import Path

from apache_beam.options.pipeline_options import PipelineOptions, PortableOptions
from apache_beam.portability import common_urns
from apache_beam.portability.api import beam_runner_api_pb2
from apache_beam.runners.portability.job_server import ExternalJobServer
from apache_beam.runners.portability.portable_runner import JobServiceHandle

import beam_mat
from beam_mat.runners.local import serving


def main(pipeline: Path, prism: str) -> None:
    graph = beam_runner_api_pb2.Pipeline.FromString(pipeline.read_bytes())
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    pool = subprocess.Popen(
        [
            *(sys.executable, "-m", "apache_beam.runners.worker.worker_pool_main"),
            *("--service_port", str(port)),
        ]
    )
    try:
        _wait_for(port, pool)  # Prism asks for a worker once
        for container in graph.components.environments.values():
            del container.dependencies[:]
            container.urn = common_urns.environments.EXTERNAL.urn
            container.payload = beam_runner_api_pb2.ExternalPayload(
                endpoint={"url": f"localhost:{port}"}
            ).SerializeToString()
        options = PipelineOptions(["--prism_location", prism, "--streaming"])
        with serving(options):
            endpoint = options.view_as(PortableOptions).job_endpoint
            service = ExternalJobServer(endpoint).start()
            _, messages, states = JobServiceHandle(service, options).submit(graph)
            sys.stdout.write(f"{beam_mat.__file__}\n")
            sys.stdout.flush()
            for state in states:
                sys.stdout.write(f"{state}\n")
            for message in messages:
                sys.stdout.write(f"{message}\n")
    finally:
        pool.kill()
        pool.wait()


def _wait_for(port: int, pool: subprocess.Popen[bytes]) -> None:
    while pool.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1.0):
            return
        time.sleep(0.1)
    raise RuntimeError("the pool of workers has ended")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
