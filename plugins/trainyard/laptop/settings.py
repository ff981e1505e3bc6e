"""What of the laptop a person may set: in the environment, out the folder for all state and a port for each part.

Everything listens on 127.0.0.1 only; the defaults keep clear of an Airflow or a PostgreSQL that is there already.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from trainyard.laptop.postgres import SUPERUSER

HOST = "127.0.0.1"
ROOT = Path(__file__).resolve().parents[3]
"""The checkout: the folder that holds dags/, plugins/, spark_jobs/ and local_aws/."""


class SettingsError(ValueError):
    """A setting that can't be used; the text names the variable, its value and what would be accepted."""


@dataclass(frozen=True)
class Ports:
    """The TCP port of each part that listens."""

    postgres: int = 15432
    local_aws: int = 14566
    airflow: int = 18080
    log_server: int = 18793

    @staticmethod
    def variable(part: str) -> str:
        """The environment variable that sets the port of ``part``."""
        return f"TRAINYARD_{part.upper()}_PORT"


PART_NAMES = {
    "postgres": "PostgreSQL",
    "local_aws": "local AWS",
    "airflow": "Airflow's api-server",
    "log_server": "Airflow's log server",
}


@dataclass(frozen=True)
class Settings:
    """One stack: where its code lies, where its state lies, on which ports it listens.

    :param state: holds all that running leaves behind: ``airflow/ postgres/ aws/ spark/ logs/ run/``
    :param dags: the folder that Airflow parses
    :param demo_limit_minutes: how long ``demo`` may take in all
    """

    state: Path
    ports: Ports
    dags: Path = ROOT / "dags"
    demo_limit_minutes: int = 20

    @property
    def logs(self) -> Path:
        return self.state / "logs"

    @property
    def run(self) -> Path:
        return self.state / "run"

    @property
    def airflow_home(self) -> Path:
        return self.state / "airflow"

    @property
    def postgres(self) -> Path:
        return self.state / "postgres"

    @property
    def airflow_url(self) -> str:
        return f"http://{HOST}:{self.ports.airflow}"

    @property
    def aws_url(self) -> str:
        return f"http://{HOST}:{self.ports.local_aws}"

    @property
    def postgres_url(self) -> str:
        """The server's libpq URL, without a database."""
        return f"postgresql://{SUPERUSER}@{HOST}:{self.ports.postgres}"


def read_settings(environ: Mapping[str, str]) -> Settings:
    """The settings that ``environ`` asks for; raises SettingsError."""
    defaults = Ports()
    ports = Ports(
        **{
            part: _number(environ, Ports.variable(part), default=getattr(defaults, part), highest=65535)
            for part in PART_NAMES
        }
    )
    taken: dict[int, str] = {}
    for part in PART_NAMES:
        port, variable = getattr(ports, part), Ports.variable(part)
        if port in taken:
            raise SettingsError(
                f"{variable} and {taken[port]} are both {port}; each part needs a port of its own"
            )
        taken[port] = variable
    limit = _number(environ, "TRAINYARD_DEMO_LIMIT_MINUTES", default=20, highest=24 * 60)
    state = Path(environ.get("TRAINYARD_STATE") or ROOT / ".trainyard")
    return Settings(state=state.absolute(), ports=ports, demo_limit_minutes=limit)


def _number(environ: Mapping[str, str], variable: str, *, default: int, highest: int) -> int:
    text = environ.get(variable, "").strip()
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= highest):
        raise SettingsError(f"{variable}={text!r}: accepted is a whole number from 1 to {highest}")
    return int(text)


def check_ports(ports: Ports) -> None:
    """Raise SettingsError for the ports that something else listens on."""
    taken = [
        f"port {getattr(ports, part)} for {name} is taken by another program; set {Ports.variable(part)} to a free one"
        for part, name in PART_NAMES.items()
        if _is_taken(getattr(ports, part))
    ]
    if taken:
        raise SettingsError("\n".join(taken))


def _is_taken(port: int) -> bool:
    with socket.socket() as client:
        client.settimeout(1)
        if client.connect_ex((HOST, port)) == 0:
            return True
    with socket.socket() as server:
        # without it a port that closed a moment ago counts as taken for a minute
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            server.bind((HOST, port))
        except OSError:
            return True
    return False
