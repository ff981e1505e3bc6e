"""A thousand simulated clusters at once, and 200 calls a second among them: latency, errors, memory.

In: a number of clusters, a rate, a time. Out: a table, and `build/bench/local-aws.json`.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from benchmarks.figures import Figure, report
from benchmarks.local_aws.load import Call, Connections, Measured, send

_ROOT = Path(__file__).parents[2]
_STEP_SECONDS = 5
# what a watcher, some sensors and a person ask for while trainings come and go
_MIX = {
    "DescribeCluster": 40,
    "ListClusters": 20,
    "DescribeStep": 15,
    "ListSteps": 15,
    "AddJobFlowSteps": 7,
    "ListInstances": 3,
}
_ACTIVE = ["STARTING", "BOOTSTRAPPING", "RUNNING", "WAITING", "TERMINATING"]


def main() -> int:
    options = _options()
    with tempfile.TemporaryDirectory(prefix="bench-local-aws-") as folder, _server(Path(folder)) as server:
        figures = asyncio.run(_measure(server, options))
    return report("local-aws", figures)


async def _measure(server: tuple[int, int], options: argparse.Namespace) -> dict[str, Figure]:
    port, pid = server
    connections = Connections(port)
    launches = await send(
        connections, (_launch(number) for number in range(options.clusters)), per_second=options.per_second
    )
    ids = [answer["JobFlowId"] for answer in launches.answers]
    steps = await send(
        connections, (("ListSteps", {"ClusterId": each}) for each in ids), per_second=options.per_second
    )
    known = [(each, answer["Steps"][0]["Id"]) for each, answer in zip(ids, steps.answers, strict=True)]
    mixed = await send(connections, _calls(known, options), per_second=options.per_second)
    live = await _count_live(connections)
    connections.close()
    return _figures([launches, steps, mixed], live=live, peak_mb=_peak_mb(pid))


async def _count_live(connections: Connections) -> int:
    found = 0
    marker: dict[str, str] = {}
    while True:
        _, answer = await connections.call("ListClusters", {"ClusterStates": _ACTIVE, **marker})
        found += len(answer["Clusters"])
        if "Marker" not in answer:
            return found
        marker = {"Marker": answer["Marker"]}


def _launch(number: int) -> Call:
    groups = [
        {"InstanceRole": "MASTER", "InstanceType": "m5.xlarge", "InstanceCount": 1},
        {"InstanceRole": "CORE", "InstanceType": "m5.xlarge", "InstanceCount": 4, "Market": "SPOT"},
    ]
    return "RunJobFlow", {
        "Name": f"trainyard-bench-portfolio-model_{number}-attempt-1",
        "ReleaseLabel": "emr-7.13.0",
        "JobFlowRole": "EMR_EC2_DefaultRole",
        "ServiceRole": "EMR_DefaultRole",
        "Instances": {"InstanceGroups": groups, "KeepJobFlowAliveWhenNoSteps": True},
        "Steps": [_step()],
        "Tags": [{"Key": f"trainyard:{key}", "Value": str(number)} for key in ("model", "run", "attempt")],
    }


def _step() -> dict[str, Any]:
    jar = {
        "Jar": "command-runner.jar",
        "Args": ["spark-submit", "s3://code/train.py", "--request", "s3://r/r.json"],
    }
    return {"Name": "train", "ActionOnFailure": "CONTINUE", "HadoopJarStep": jar}


def _calls(known: list[tuple[str, str]], options: argparse.Namespace) -> Iterator[Call]:
    chance = random.Random(7)  # noqa: S311 - the same calls in every run
    operations = chance.choices(
        [*_MIX], weights=[*_MIX.values()], k=int(options.per_second * options.seconds)
    )
    for operation in operations:
        cluster_id, step_id = chance.choice(known)
        yield operation, _request(operation, cluster_id, step_id)


def _request(operation: str, cluster_id: str, step_id: str) -> dict[str, Any]:
    if operation == "ListClusters":
        return {"ClusterStates": _ACTIVE}
    if operation == "DescribeStep":
        return {"ClusterId": cluster_id, "StepId": step_id}
    if operation == "AddJobFlowSteps":
        return {"JobFlowId": cluster_id, "Steps": [_step()]}
    return {"ClusterId": cluster_id}


def _figures(phases: list[Measured], *, live: int, peak_mb: float) -> dict[str, Figure]:
    whole = Measured.together(phases)
    return {
        "live clusters": Figure(live, 1000, "higher"),
        "calls answered a second": Figure(min(map(_answered_a_second, phases)), 200, "higher"),
        "p50 of all calls, ms": Figure(whole.percentile_ms(0.5)),
        "p99 of all calls, ms": Figure(whole.percentile_ms(0.99), 100),
        "longest call, ms": Figure(whole.percentile_ms(1)),
        "p99 of RunJobFlow, ms": Figure(phases[0].percentile_ms(0.99)),
        "calls refused": Figure(len(whole.refused), 0),
        "generator late at most, ms": Figure(1000 * whole.late_seconds),
        "peak memory, MB": Figure(peak_mb, 500),
    }


def _answered_a_second(phase: Measured) -> float:
    return len(phase.latencies_seconds) / phase.took_seconds


def _peak_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status")
    if not status.exists():
        return float(psutil.Process(pid).memory_info().rss) / 1e6
    peak = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    return int(peak.split()[1]) * 1024 / 1e6


@contextmanager
def _server(folder: Path) -> Iterator[tuple[int, int]]:
    """Port and process id of a local_aws that simulates every step."""
    options = ["--port", "0", "--root", str(folder / "root"), "--simulate", str(_STEP_SECONDS)]
    process = subprocess.Popen(
        [sys.executable, "-m", "local_aws", *options], cwd=_ROOT, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        yield int(line.split("127.0.0.1:")[1].split()[0]), process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--clusters", type=int, default=1000, help="live at once")
    parser.add_argument(
        "--per-second",
        type=float,
        default=220,
        help="calls sent a second; a tenth above the goal, since the last answer comes after the last call",
    )
    parser.add_argument("--seconds", type=float, default=30, help="how long the mixed calls go on")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
