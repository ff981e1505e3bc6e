"""What every test may ask for: a real PostgreSQL, a database of one's own in it."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest

from local_aws import client
from trainyard.laptop.postgres import PostgresServer

# the processes that tests start find trainyard also where only what it needs is installed
os.environ["PYTHONPATH"] = os.pathsep.join(
    [str(Path(__file__).parents[1] / "plugins"), *filter(None, [os.environ.get("PYTHONPATH")])]
)

# a server that stands still with its machine answers later
client._TIMEOUT_SECONDS = 120


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--s3a-jars",
        metavar="FOLDER",
        help="let s3:// be Hadoop's real S3A, by the jars that `make fidelity` fetched into FOLDER",
    )
    parser.addoption(
        "--spark4", metavar="PATH", help="environment with PySpark 4.0, for clusters of emr-spark-8 releases"
    )
    parser.addoption(
        "--aws-clients",
        action="store_true",
        help="run the tests that need environments of AWS's other clients",
    )
    parser.addoption(
        "--faults",
        action="store_true",
        help="run the tests of what goes wrong, which take a quarter of an hour",
    )


# below those that systems give to outgoing connections, one of which would take a server's port while it restarts
_PORTS = range(10_000, 32_000)


# few tests that take minutes: begun last, they would run while the other process has nothing left to do
_LONGEST_FILES = ("test_main_job.py", "test_whole_job.py", "test_kills.py", "test_stack.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    places = {name: place for place, name in enumerate(_LONGEST_FILES)}
    items.sort(key=lambda item: places.get(item.path.name, len(places)))


def free_port() -> int:
    """A TCP port on 127.0.0.1 that nothing listens on now."""
    while True:
        port = random.choice(_PORTS)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


@pytest.fixture(scope="session")
def free_ports() -> Callable[[int], list[int]]:
    """Gives as many different free ports as asked for."""

    def ports(number: int) -> list[int]:
        found: set[int] = set()
        while len(found) < number:
            found.add(free_port())
        return sorted(found)

    return ports


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    server = PostgresServer(data_dir=tmp_path_factory.mktemp("postgres") / "data", port=free_port())
    server.initialise()
    server.start()
    yield server
    server.stop(mode="immediate")


@pytest.fixture
def database_url(postgres: PostgresServer) -> Iterator[str]:
    """The URL of an empty database of the test's own."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    postgres.create_databases(name)
    yield postgres.url(name)
    with psycopg.connect(postgres.url("postgres"), autocommit=True) as connection:
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real inputs that lie beside a checkout on some machines; the test skips where they do not."""
    folder = Path(__file__).parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"no {folder}: the optional real inputs are not here")
    return folder


# a JVM that lives for seconds is not worth optimising its code
_BRIEF_JVM = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"


class LocalAws:
    """A `python -m local_aws` of a test's own: the real server, in a process of its own."""

    def __init__(self, root: Path, *, port: int, options: tuple[str, ...] = ()) -> None:
        self.root = root
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self._command = [
            sys.executable,
            "-m",
            "local_aws",
            "--port",
            str(port),
            "--root",
            str(root),
            *options,
        ]
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> LocalAws:
        self.process = subprocess.Popen(
            self._command, cwd=Path(__file__).parents[1], stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        assert "is ready on" in self.process.stdout.readline(), f"local_aws did not start on port {self.port}"
        return self

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Its exit code; one that is not running has none to give and returns 0."""
        if self.process is None:
            return 0
        self.process.send_signal(number)
        code = self.process.wait(120)
        if self.process.stdout is not None:
            self.process.stdout.close()
        self.process = None
        return code


@pytest.fixture(scope="session")
def start_local_aws(pytestconfig: pytest.Config) -> Iterator[Callable[..., LocalAws]]:
    """Starts local_aws servers on free ports with short waiting times; all are ended with the session."""
    started: list[LocalAws] = []
    s3a_jars, spark4 = pytestconfig.getoption("--s3a-jars"), pytestconfig.getoption("--spark4")
    asked = ("--s3a-jars", s3a_jars) if s3a_jars else ()
    asked += ("--spark", f"4.0={spark4}") if spark4 else ()

    def start(root: Path, *options: str) -> LocalAws:
        short = ("--provision-seconds", "0.2", "--bootstrap-seconds", "0.1", "--slots", "2")
        small = ("--spark-master", "local[1]", "--driver-memory", "512m", f"--java-options={_BRIEF_JVM}")
        server = LocalAws(root, port=free_port(), options=(*short, *small, *asked, *options))
        started.append(server)
        return server.start()

    yield start
    for server in started:
        server.stop()


@pytest.fixture(scope="session")
def local_aws_url(start_local_aws: Callable[..., LocalAws], tmp_path_factory: pytest.TempPathFactory) -> str:
    """The endpoint of EMR and S3 for the whole session; its buckets are shared, so name your own."""
    return start_local_aws(tmp_path_factory.mktemp("local_aws")).url


@pytest.fixture(scope="session")
def idle_aws_url(start_local_aws: Callable[..., LocalAws], tmp_path_factory: pytest.TempPathFactory) -> str:
    """The endpoint of a local AWS whose clusters never leave STARTING: for tests of what launches and watches."""
    return start_local_aws(tmp_path_factory.mktemp("idle_aws"), "--provision-seconds", "3600").url


@pytest.fixture(scope="session")
def busy_aws_url(start_local_aws: Callable[..., LocalAws], tmp_path_factory: pytest.TempPathFactory) -> str:
    """The endpoint of a local AWS whose clusters run their step at once, and never end by themselves."""
    at_once = ("--provision-seconds", "0", "--bootstrap-seconds", "0", "--slots", "1000")
    return start_local_aws(tmp_path_factory.mktemp("busy_aws"), *at_once, "--simulate", "3600").url
