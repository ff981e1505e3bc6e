"""The environment of the stack's processes: the caller's, without what would disturb, with what keeps AWS out of reach.

No call can reach the real AWS by mistake: keys are dummies, the files that could hold real ones are pointed at
nothing, instance metadata is off, and the endpoint is the local one even for a client that names no connection.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from trainyard.laptop.postgres import SUPERUSER
from trainyard.laptop.settings import HOST, ROOT, Settings

REGION = "us-east-1"
DUMMY_KEY = "test"
DEPLOYMENT = "laptop"

# what a person has set for another AWS account, Airflow, Spark, Python or PostgreSQL must not reach ours
_DROPPED_PREFIXES = (
    *("AWS_", "BOTO_", "EMR_", "AIRFLOW", "_AIRFLOW", "TRAINYARD_", "SPARK", "PYSPARK", "HADOOP", "YARN_"),
    *("PYTHON", "PG", "OTEL_", "UVICORN_", "GUNICORN_", "MAKE", "MFLAGS", "SPT_"),
)
_DROPPED = frozenset(
    {
        "CLASSPATH",
        "JAVA_TOOL_OPTIONS",
        "_JAVA_OPTIONS",
        "JDK_JAVA_OPTIONS",
        "VIRTUAL_ENV",
        "FORWARDED_ALLOW_IPS",
    }
)


def base_environment(environ: Mapping[str, str], settings: Settings) -> dict[str, str]:
    """What every process of the stack gets, derived from the caller's ``environ``."""
    kept = {
        name: value
        for name, value in environ.items()
        if name not in _DROPPED and not name.startswith(_DROPPED_PREFIXES)
    }
    binaries = str(Path(sys.executable).parent)
    return {
        **kept,
        **_without_proxy(kept),
        "PATH": os.pathsep.join([binaries, kept.get("PATH", os.defpath)]),
        "PYTHONUNBUFFERED": "1",
        # where trainyard itself is not installed, only what it needs
        "PYTHONPATH": str(ROOT / "plugins"),
        # setproctitle would overwrite the memory behind /proc/PID/environ, where the sweep finds a process's marker
        "SPT_NOENV": "1",
        "AWS_ACCESS_KEY_ID": DUMMY_KEY,
        "AWS_SECRET_ACCESS_KEY": DUMMY_KEY,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_REGION": REGION,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_ENDPOINT_URL": settings.aws_url,
    }


def airflow_environment(settings: Settings) -> dict[str, str]:
    """What Airflow's processes get besides: its home, the connections, the account's limits."""
    aws = {
        "conn_type": "aws",
        "login": DUMMY_KEY,
        "password": DUMMY_KEY,
        "extra": {"region_name": REGION, "endpoint_url": settings.aws_url},
    }
    return {
        "AIRFLOW_HOME": str(settings.airflow_home),
        "AIRFLOW_CONN_AWS_DEFAULT": json.dumps(aws),
        "AIRFLOW_CONN_APP_DB": _postgres_connection(settings, "app"),
        "AIRFLOW_CONN_ANALYTICS_DB": _postgres_connection(settings, "analytics"),
        "AIRFLOW_VAR_TRAINYARD_ACCOUNT": json.dumps({"deployment": DEPLOYMENT}),
    }


def database_url(settings: Settings, database: str) -> str:
    """The libpq URL of one of the stack's databases: airflow, app or analytics."""
    return f"{settings.postgres_url}/{database}"


def cli_environment(settings: Settings) -> dict[str, str]:
    """What the command line tools ``trainyard`` and ``airflow`` need to reach this stack."""
    return {
        "AIRFLOW_HOME": str(settings.airflow_home),
        "TRAINYARD_APP_DB_URL": database_url(settings, "app"),
        "TRAINYARD_ANALYTICS_DB_URL": database_url(settings, "analytics"),
    }


def _postgres_connection(settings: Settings, database: str) -> str:
    return json.dumps(
        {
            "conn_type": "postgres",
            "host": HOST,
            "port": settings.ports.postgres,
            "login": SUPERUSER,
            "schema": database,
        }
    )


def _without_proxy(environ: Mapping[str, str]) -> dict[str, str]:
    # a proxy for the world must not get the calls from part to part
    present = environ.get("no_proxy") or environ.get("NO_PROXY") or ""
    hosts = [host for host in (*present.split(","), HOST, "localhost") if host.strip()]
    return dict.fromkeys(("no_proxy", "NO_PROXY"), ",".join(dict.fromkeys(hosts)))
