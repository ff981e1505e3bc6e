"""Where each model of a run is: Airflow's task states and one list of clusters in, one phase for each model out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trainyard.laptop.airflow_api import Json

_PROVISIONING = frozenset({"STARTING", "BOOTSTRAPPING"})
_WAITING = frozenset({None, "scheduled", "queued"})


@dataclass(frozen=True)
class Progress:
    """:param cluster_id: of the newest attempt; empty before it is launched"""

    model: str
    phase: str
    cluster_id: str = ""


def run_progress(
    tasks: Sequence[Json], clusters: Sequence[Mapping[str, Any]], training_ids: Mapping[str, str]
) -> list[Progress]:
    """The progress of each model.

    :param tasks: the run's task instances, as Airflow's API gives them
    :param clusters: as ListClusters gives them, newest first
    :param training_ids: by model
    """
    states = {task["task_id"]: task["state"] for task in tasks}
    return [
        _progress(model, states, _newest_cluster(clusters, training_id))
        for model, training_id in sorted(training_ids.items())
    ]


def _newest_cluster(clusters: Sequence[Mapping[str, Any]], training_id: str) -> Mapping[str, Any] | None:
    return next((cluster for cluster in clusters if f"-{training_id}-" in cluster["Name"]), None)


def _progress(model: str, states: Mapping[str, str | None], cluster: Mapping[str, Any] | None) -> Progress:
    cluster_id = str(cluster["Id"]) if cluster is not None else ""
    phase = _phase(
        create=states.get(f"{model}.create_cluster"),
        wait=states.get(f"{model}.wait_for_training"),
        publish=states.get("publish"),
        cluster=str(cluster["Status"]["State"]) if cluster is not None else None,
    )
    return Progress(model=model, phase=phase, cluster_id=cluster_id)


def _phase(*, create: str | None, wait: str | None, publish: str | None, cluster: str | None) -> str:  # noqa: PLR0911
    if "failed" in (create, wait) or "upstream_failed" in (create, wait):
        return "failed"
    if "skipped" in (create, wait):
        return "left out"
    if wait == "success":
        return {"success": "published", "failed": "trained", "running": "publishing"}.get(
            publish or "", "trained"
        )
    if "up_for_retry" in (create, wait):
        return "trying again"
    if cluster is not None:
        if cluster in _PROVISIONING:
            return "provisioning"
        return "training" if cluster == "RUNNING" else "training ended"
    return "queued" if create in _WAITING else "launching"
