"""Clusters on disk: `<folder>/clusters.jsonl`, a line for each change, of which a cluster's last one counts.

A change costs one short write, with ten clusters as with ten thousand, and a kill at any moment leaves the last
state that was answered for. The file is made short again when it is loaded.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

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
        self._path = folder / "clusters.jsonl"
        self._file: BinaryIO | None = None

    def step_folder(self, cluster_id: ClusterId, step_id: StepId) -> Path:
        return self._folder / cluster_id / "steps" / step_id

    def bootstrap_folder(self, cluster_id: ClusterId) -> Path:
        return self._folder / cluster_id / "bootstrap-actions"

    def save(self, clusters: Iterable[Cluster]) -> None:
        lines = _lines(clusters)
        if not lines:
            return
        if self._file is None:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._file = self._path.open("ab")
        self._file.write(lines)
        self._file.flush()

    def load(self) -> list[Cluster]:
        """Every cluster as it was last saved; the file then holds each once. Raises StoreError."""
        if not self._path.exists():
            return []
        # what follows the last line's end was being written when the process was killed: nobody was told of it
        *lines, _torn = self._path.read_bytes().split(b"\n")
        found = [_read(self._path, number, line) for number, line in enumerate(lines, start=1)]
        latest = {cluster.cluster_id: cluster for cluster in found}
        draft = self._path.with_suffix(".new")
        draft.write_bytes(_lines(latest.values()))
        draft.replace(self._path)
        return list(latest.values())


def _lines(clusters: Iterable[Cluster]) -> bytes:
    return b"".join(json.dumps(cluster, default=_encode).encode() + b"\n" for cluster in clusters)


def _encode(value: object) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if is_dataclass(value) and not isinstance(value, type):
        # not asdict: it copies requests to their last letter, and most of a change's time went there
        return {field.name: getattr(value, field.name) for field in fields(value)}
    raise TypeError(f"{value!r} has no place in a cluster's file")


def _read(path: Path, number: int, line: bytes) -> Cluster:
    try:
        return _cluster(json.loads(line))
    except (ValueError, KeyError, TypeError) as problem:
        raise StoreError(
            f"{path}, line {number}: not a cluster of this local_aws ({problem}); move the file away to go on"
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
