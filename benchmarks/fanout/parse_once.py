"""One parse of a DAG file, in a process of its own that has imported what a DAG file finds imported: its seconds.

`python -m benchmarks.fanout.parse_once FILE DAG [TASK]`; with a task, as a worker parses that runs it. What a worker of
ours inherits from the process that forks it (the plugin, with the operators) is imported before, and what stock DAGs
use too: the amazon operators and dag-factory.
"""

from __future__ import annotations

import gc
import importlib
import os
import sys
import time
from importlib.util import module_from_spec, spec_from_file_location

_INHERITED = (
    "airflow.providers.amazon.aws.operators.emr",
    "airflow.providers.amazon.aws.sensors.emr",
    "airflow.providers.standard.operators.empty",
    "airflow.sdk",
    "dagfactory",
    "trainyard_plugin",
)


def main() -> None:
    file, dag_id, *task = sys.argv[1:]
    for name in _INHERITED:
        importlib.import_module(name)
    if task:
        os.environ |= {"_AIRFLOW_PARSING_CONTEXT_DAG_ID": dag_id, "_AIRFLOW_PARSING_CONTEXT_TASK_ID": task[0]}
    spec = spec_from_file_location("dag_file", file)
    assert spec is not None
    assert spec.loader is not None
    dag_file = module_from_spec(spec)
    # as Airflow's DAG processor and LocalExecutor do before they fork what parses
    gc.freeze()
    began = time.perf_counter()
    spec.loader.exec_module(dag_file)
    seconds = time.perf_counter() - began
    dag = getattr(dag_file, "dag", None) or getattr(dag_file, dag_id)
    print(f"{seconds} {len(dag.tasks)}")


if __name__ == "__main__":
    main()
