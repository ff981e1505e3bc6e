"""What Airflow loads from the plugins folder.

The operators are imported here, once, in the process that forks the workers: each would else spend seconds on it.
"""

from __future__ import annotations

from airflow.plugins_manager import AirflowPlugin

import trainyard.dag_factory  # noqa: F401


class TrainyardPlugin(AirflowPlugin):
    """Trainyard as Airflow's list of plugins names it."""

    name = "trainyard"
