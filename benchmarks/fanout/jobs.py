"""What the jobs on simulated clusters would have left: training folders, written here as the launches come.

A manifest repeats the hash of its request, which is written at the launch: so it cannot be prepared before.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Engine

from trainyard.training import split_uri

_SELECT = (
    "SELECT training_id, attempt, deployment, portfolio, model, data_date::text, output_uri "
    "FROM operations.attempt WHERE cluster_id IS NOT NULL"
)
_THRESHOLD = 0.2


@dataclass
class Jobs:
    """Writes each launched attempt's folder once.

    :param app: the application database
    """

    app: Engine
    s3: Any
    written: set[tuple[str, int]] = field(default_factory=set)

    def write_new(self) -> None:
        """The folders of what was launched since the last time."""
        with self.app.connect() as connection:
            rows = connection.exec_driver_sql(_SELECT).mappings().all()
        for row in rows:
            if (row["training_id"], row["attempt"]) not in self.written:
                self._write(dict(row))
                self.written.add((row["training_id"], row["attempt"]))

    def _write(self, identity: dict[str, Any]) -> None:
        bucket, prefix = split_uri(identity.pop("output_uri"))
        request = self.s3.get_object(Bucket=bucket, Key=f"{prefix}request.json")["Body"].read()
        files = training_files(json.loads(request), identity)
        manifest = {
            "format_version": 2,
            "status": "succeeded",
            "training": identity,
            "request_sha256": hashlib.sha256(request).hexdigest(),
            "files": {
                name: {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}
                for name, content in files.items()
            },
        }
        for name, content in (files | {"manifest.json": json.dumps(manifest).encode()}).items():
            self.s3.put_object(Bucket=bucket, Key=f"{prefix}{name}", Body=content)


def training_files(request: dict[str, Any], identity: dict[str, Any]) -> dict[str, bytes]:
    """A training folder's files by name, without the manifest: those that publishing reads."""
    features = {name: request[name] for name in ("num_features", "feature_space")}
    head = {
        **features,
        "format_version": 2,
        "kind": "logistic_regression",
        "score_kind": "probability",
        "threshold": _THRESHOLD,
        "correction": None,
        "calibration": None,
        "label_names": {"0": "0", "1": "1"},
        "lineage": {
            **{name: request["lineage"][name] for name in ("code_sha256", "portfolio_sha256")},
            "input_fingerprint": "e" * 64,
            "training_id": identity["training_id"],
            "attempt": identity["attempt"],
        },
        "parameters": {
            "intercept": -2.0,
            "coefficients": {
                "indices": list(range(request["num_features"])),
                "values": [0.1] * request["num_features"],
            },
        },
    }
    metrics = {"test": {"auc": 0.9, "log_loss": 0.3}}
    return {
        "artifact.json": json.dumps(head).encode(),
        "metrics.json": json.dumps(
            {"format_version": 2, "metrics": metrics, "threshold": _THRESHOLD}
        ).encode(),
        "curves.json": json.dumps({"format_version": 2, "curves": {}}).encode(),
    }
