"""Airflow's configuration on a laptop: in the settings and secrets, out airflow.cfg and a file of passwords.

It is written anew at every start. What is not named here keeps Airflow's default.
"""

from __future__ import annotations

import configparser
import io
import json
import os
from pathlib import Path

from trainyard.laptop.credentials import USER, Credentials, write_private
from trainyard.laptop.environment import database_url
from trainyard.laptop.settings import HOST, ROOT, Settings


def write_airflow_config(settings: Settings, credentials: Credentials) -> None:
    """Write ``airflow.cfg`` and the login's password, both readable by their owner only."""
    parser = configparser.ConfigParser(interpolation=None)
    for section, options in _options(settings, credentials).items():
        # Airflow reads the file with interpolation
        parser[section] = {name: str(value).replace("%", "%%") for name, value in options.items()}
    text = io.StringIO()
    parser.write(text)
    write_private(settings.airflow_home / "airflow.cfg", text.getvalue())
    write_private(_password_file(settings), json.dumps({USER: credentials.password}) + "\n")


def _password_file(settings: Settings) -> Path:
    return settings.airflow_home / "passwords.json"


def _options(settings: Settings, credentials: Credentials) -> dict[str, dict[str, object]]:
    # psycopg 3 serves Airflow's synchronous and asynchronous sessions alike
    database = database_url(settings, "airflow").replace("postgresql://", "postgresql+psycopg://")
    return {
        "core": {
            "dags_folder": settings.dags,
            "plugins_folder": ROOT / "plugins",
            "load_examples": False,
            "executor": "LocalExecutor",
            # each task is a Python process of its own
            "parallelism": max(4, min(16, 2 * (os.cpu_count() or 2))),
            "hostname_callable": "trainyard.laptop.airflow_config.loopback",
            "fernet_key": credentials.fernet_key,
            "simple_auth_manager_users": f"{USER}:admin",
            "simple_auth_manager_passwords_file": _password_file(settings),
            "execution_api_server_url": f"{settings.airflow_url}/execution/",
            "min_serialized_dag_update_interval": 5,
        },
        "database": {
            "sql_alchemy_conn": database,
            "sql_alchemy_conn_async": database,
            # the start has migrated it; every part would look again
            "check_migrations": False,
        },
        "api": {
            "host": HOST,
            "port": settings.ports.airflow,
            "base_url": settings.airflow_url,
            "workers": 1,
            "secret_key": credentials.api_secret_key,
            "instance_name": "Trainyard on this machine",
        },
        "api_auth": {"jwt_secret": credentials.jwt_secret},
        "scheduler": {"scheduler_idle_sleep_time": 0.5, "scheduler_heartbeat_sec": 2},
        "workers": {
            # a busy laptop answers late, which is no reason to give a task up
            "execution_api_timeout": 30,
            # A task's process closes its pipes a moment before it is gone. A worker that looks in between looks again
            # at its next heartbeat, and has no other task until then: with the default's five seconds a third of all
            # tasks cost that much.
            "min_heartbeat_interval": 1,
            # One more than by default: each is tried for ten seconds, so that a task lives as long without the
            # api-server as by the defaults.
            "max_failed_heartbeats": 4,
        },
        # a new portfolio shows up in seconds
        "dag_processor": {
            "refresh_interval": 5,
            "bundle_refresh_check_interval": 2,
            "min_file_process_interval": 15,
            "print_stats_interval": 0,
        },
        "logging": {
            "base_log_folder": settings.logs / "tasks",
            "dag_processor_child_process_log_directory": settings.logs / "dag_files",
            "worker_log_server_port": settings.ports.log_server,
            "trigger_log_server_port": settings.ports.log_server,
            "colored_console_log": False,
        },
    }


def loopback() -> str:
    """The host name that Airflow gives its parts here: their logs are asked for at this address."""
    return HOST
