"""The real stack, PostgreSQL, local AWS and Airflow: it starts, is healthy, and leaves nothing when it is killed."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

import psutil
import pytest

from trainyard.laptop.airflow_api import AirflowApi
from trainyard.laptop.credentials import load_credentials
from trainyard.laptop.processes import Member, end_stack, marker, members, postmaster
from trainyard.laptop.settings import PART_NAMES, ROOT, Ports, Settings, read_settings

PARTS = {
    "guard",
    "local-aws",
    "postgres",
    "api-server",
    "scheduler",
    "dag-processor",
    "triggerer",
    "log-server",
}


@dataclass
class RealStack:
    settings: Settings
    environ: dict[str, str]

    @property
    def marker(self) -> str:
        return marker(load_credentials(self.settings.run).stack_id, self.settings.state)

    def up(self) -> subprocess.Popen[str]:
        """Start it and wait until it says that it is ready."""
        process = subprocess.Popen(
            [sys.executable, "-m", "trainyard.laptop", "up"],
            env=self.environ,
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert process.stdout is not None
        said = []
        for line in process.stdout:
            said.append(line)
            if line.startswith("Ctrl-C"):
                return process
        raise AssertionError("".join(said))

    def members(self) -> list[Member]:
        return members(self.marker)

    def listening_addresses(self) -> set[str]:
        addresses: set[str] = set()
        for member in self.members():
            # the short-lived ones, such as a parser of Airflow's, may end between the list and the question
            with suppress(psutil.NoSuchProcess):
                connections = member.process.net_connections()
                addresses |= {one.laddr.ip for one in connections if one.status == psutil.CONN_LISTEN}
        return addresses

    def wait_until_healthy(self, api: AirflowApi) -> None:
        """It was healthy when it said so; one that stood still since has a heartbeat to make up for."""
        deadline = time.monotonic() + 120
        while {part["status"] for part in api.health().values()} != {"healthy"}:
            assert time.monotonic() < deadline, api.health()
            time.sleep(0.5)

    def assert_nothing_left(self) -> None:
        deadline = time.monotonic() + 120
        while (self.members() or postmaster(self.settings.postgres)) and time.monotonic() < deadline:
            time.sleep(0.2)
        assert self.members() == []
        assert postmaster(self.settings.postgres) is None
        assert not any(_listens(port) for port in vars(self.settings.ports).values())


def _listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealStack]:
    # longer than a Unix socket's path may be, and with a blank
    state = (
        tmp_path_factory.mktemp("a state folder whose path is longer than that of a Unix socket may ever be")
        / "state"
    )
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in PART_NAMES]
    ports = {part: str(probe.getsockname()[1]) for part, probe in zip(PART_NAMES, probes, strict=True)}
    for probe in probes:
        probe.close()
    variables = {Ports.variable(part): port for part, port in ports.items()} | {"TRAINYARD_STATE": str(state)}
    real = RealStack(settings=read_settings(variables), environ={**os.environ, **variables})
    yield real
    end_stack(real.marker, real.settings.postgres, tell=lambda _: None)


@pytest.mark.timeout(1200)
def test_up_is_healthy_on_this_machine_only_and_nothing_is_left_after_kill_9_nor_after_ctrl_c(
    stack: RealStack,
) -> None:
    first = stack.up()
    assert {member.part for member in stack.members()} == PARTS
    api = AirflowApi(url=stack.settings.airflow_url, password=load_credentials(stack.settings.run).password)
    stack.wait_until_healthy(api)
    assert api.get("importErrors")["import_errors"] == []
    assert api.get("dags", "demo")["is_paused"]
    assert stack.listening_addresses() == {"127.0.0.1"}

    first.kill()
    stack.assert_nothing_left()

    second = stack.up()
    assert api.get("importErrors")["import_errors"] == []
    assert api.get("dags", "demo", "dagRuns")["dag_runs"] == []
    second.send_signal(signal.SIGINT)
    output, _ = second.communicate(timeout=180)
    assert second.returncode == 0, output
    assert stack.members() == []
    stack.assert_nothing_left()
