"""Where the command line finds the databases: in the environment, else in Airflow's connections.

One configuration serves the DAGs and the command line.
"""

from __future__ import annotations

import os

from trainyard.databases import EXPECTED_URL, DatabaseError

_VARIABLES = {"app_db": "TRAINYARD_APP_DB_URL", "analytics_db": "TRAINYARD_ANALYTICS_DB_URL"}


def database_url(name: str) -> str:
    """The URL of ``app_db`` or ``analytics_db``: its environment variable, else Airflow's connection.

    :raises DatabaseError: neither is there
    """
    variable = _VARIABLES[name]
    url = os.environ.get(variable)
    if url:
        return url
    try:
        # imported here: with the variable set, the CLI is spared the seconds that Airflow takes to start
        from airflow.models.connection import Connection as AirflowConnection  # noqa: PLC0415

        return str(AirflowConnection.get_connection_from_secrets(name).get_uri())
    except Exception as error:
        raise DatabaseError(
            f"no database {name}: the environment variable {variable} is not set "
            f"(expected: {EXPECTED_URL}), and Airflow gives no connection {name!r} ({type(error).__name__})"
        ) from error
