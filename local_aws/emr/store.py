"""Clusters on disk: `<folder>/<cluster id>/cluster.json`, each replaced whole and at once.

One small file a cluster, so that a change costs the same with ten clusters as with ten thousand, and a kill
at any moment leaves the last state that was answered for.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, fields
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import Any

from local_aws.emr.values import (
    Cluster,
    ClusterId,
    ClusterState,
    ErrorDetail,
    Failure,
    NodeLoss,
    NoInstances,
    Past,
    Reason,
    Step,
    StepId,
    StepPlan,
    StepState,
)

_TIMES = (
    "at",
    "bootstrapping_since",
    "created_at",
    "ended_at",
    "gives_up_at",
    "idle_since",
    "ready_at",
    "replaced_at",
    "started_at",
    "terminating_since",
    "times_out_at",
    "wants_slot_since",
)


class StoreError(Exception):
    """A file of ours that cannot be read back."""


class ClusterStore:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def folder(self, cluster_id: ClusterId) -> Path:
        return self._folder / cluster_id

    def step_folder(self, cluster_id: ClusterId, step_id: StepId) -> Path:
        return self.folder(cluster_id) / "steps" / step_id

    def save(self, clusters: Iterable[Cluster]) -> None:
        for cluster in clusters:
            path = self.folder(cluster.cluster_id) / "cluster.json"
            path.parent.mkdir(parents=True, exist_ok=True)
            draft = path.with_suffix(".new")
            draft.write_text(json.dumps(asdict(cluster), default=_encode, sort_keys=True), encoding="utf-8")
            draft.replace(path)

    def load(self) -> list[Cluster]:
        return [_read(path) for path in sorted(self._folder.glob("*/cluster.json"))]


def _encode(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Enum):
        return str(value.value)
    raise TypeError(f"{value!r} has no place in a cluster's file")


def _read(path: Path) -> Cluster:
    try:
        return _cluster(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, KeyError, TypeError) as problem:
        raise StoreError(
            f"{path}: not a cluster of local_aws ({problem}); move it away to go on"
        ) from problem


def _cluster(saved: Mapping[str, Any]) -> Cluster:
    values = _times(saved) | {
        "cluster_id": ClusterId(saved["cluster_id"]),
        "steps": tuple(_step(step) for step in saved["steps"]),
        "tags": tuple((key, value) for key, value in saved["tags"]),
        "state": ClusterState(saved["state"]),
        "reason": _reason(saved["reason"]),
        "losses": tuple(NodeLoss(**_times(loss)) for loss in saved["losses"]),
        "history": tuple(_past(past) for past in saved["history"]),
        "no_instances": NoInstances(**_times(saved["no_instances"])) if saved["no_instances"] else None,
    }
    return Cluster(**{field.name: values[field.name] for field in fields(Cluster)})


def _step(saved: Mapping[str, Any]) -> Step:
    values = _times(saved) | {
        "step_id": StepId(saved["step_id"]),
        "state": StepState(saved["state"]),
        "reason": _reason(saved["reason"]),
        "failure": _failure(saved["failure"]),
        "plan": _plan(saved["plan"]),
    }
    return Step(**{field.name: values[field.name] for field in fields(Step)})


def _reason(saved: Mapping[str, Any]) -> Reason:
    error = saved["error"]
    details = error and ErrorDetail(
        error["code"], error["message"], tuple((key, value) for key, value in error["data"])
    )
    return Reason(saved["code"], saved["message"], details)


def _past(saved: Mapping[str, Any]) -> Past:
    return Past(datetime.fromisoformat(saved["at"]), ClusterState(saved["state"]), _reason(saved["reason"]))


def _plan(saved: Mapping[str, Any] | None) -> StepPlan | None:
    return StepPlan(saved["seconds"], _failure(saved["failure"])) if saved else None


def _failure(saved: Mapping[str, Any] | None) -> Failure | None:
    return Failure(**saved) if saved else None


def _times(saved: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: datetime.fromisoformat(value) if key in _TIMES and value is not None else value
        for key, value in saved.items()
    }
