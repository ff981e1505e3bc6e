"""What Airflow loads from the plugins folder.

The operators are imported here, once, in the process that forks the workers, and what AWS clients are made from is
read: each worker would else spend seconds on it.
"""

from __future__ import annotations

import gc

from airflow.plugins_manager import AirflowPlugin

import trainyard.dag_factory  # noqa: F401
from trainyard import connections

connections.preload()
# What is loaded by now stays as long as the process. A triggerer builds a DAG for each wait, and the collections that
# this sets off would each walk through all of it: they took half of that time.
gc.freeze()


class TrainyardPlugin(AirflowPlugin):
    """Trainyard as Airflow's list of plugins names it."""

    name = "trainyard"
