"""What Airflow loads from the plugins folder.

The operators are imported here, once, in the process that forks the workers, and what AWS clients are made from is
read: each worker would else spend seconds on it. So are Jinja's extensions, which Airflow loads for each task, though
ours have no templates. What is loaded by then is left out of garbage collection.
"""

from __future__ import annotations

import jinja2.ext  # noqa: F401
from airflow.plugins_manager import AirflowPlugin

import trainyard.dag_factory  # noqa: F401
from trainyard import connections
from trainyard.operators.attempt_link import ATTEMPT_LINKS

connections.preload()


class TrainyardPlugin(AirflowPlugin):
    """Trainyard as Airflow's list of plugins names it."""

    name = "trainyard"
    operator_extra_links = ATTEMPT_LINKS
