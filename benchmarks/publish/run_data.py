"""A run of many models as their jobs leave it: training folders on disk, and the ledger's rows."""

from __future__ import annotations

import hashlib
import json
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import Engine, text

from trainyard.training import Training, split_uri

BUCKET = "bench"
COEFFICIENTS = 20_000
METRICS = 60
CURVES = 4
CURVE_POINTS = 200
DAY = date(2026, 11, 22)
# numbers are drawn for so many models and shared by the rest: what is drawn is not what is measured
DRAWN = 8

_ATTEMPT = text(
    """
    INSERT INTO operations.attempt
        (training_id, attempt, deployment, portfolio, model, data_date, dag_id, run_id, output_uri, aws_conn_id,
         cluster_name, cluster_id, request_sha256, state, outcome, launched_at, ended_at)
    VALUES (:training_id, 1, 'bench', 'bench', :model, :data_date, 'bench', :run_id, :output_uri, 'aws_default',
            :training_id, :training_id, :request_sha256, 'ended', 'succeeded', now(), now())
    """
)


def trainings(models: int, *, run: str = "run", day: date = DAY) -> list[Training]:
    return [
        Training(
            deployment="bench",
            portfolio="bench",
            model=f"model_{number:04}",
            data_date=day,
            dag_id="bench",
            run_id=run,
            output_root=f"s3://{BUCKET}/models",
        )
        for number in range(models)
    ]


def write_folders(root: Path, models: int) -> list[dict[str, Any]]:
    """Write the training folder of each model; what the ledger says of each."""
    drawn = [_parameters(seed) for seed in range(DRAWN)]
    return [
        {
            "training_id": training.training_id,
            "model": training.model,
            "data_date": training.data_date,
            "run_id": training.run_id,
            "output_uri": training.attempt_folder(1),
            "request_sha256": _write_folder(root, training, drawn[number % DRAWN]),
        }
        for number, training in enumerate(trainings(models))
    ]


def fill_ledger(app: Engine, attempts: list[dict[str, Any]]) -> None:
    """Say in the ledger that each attempt succeeded."""
    with app.begin() as connection:
        connection.execute(_ATTEMPT, attempts)


def _parameters(seed: int) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """Coefficients as JSON, metrics, curves."""
    random = np.random.default_rng(seed)
    values = random.normal(0, 0.1, COEFFICIENTS).tolist()
    parameters = {"intercept": -2.0, "coefficients": {"indices": list(range(COEFFICIENTS)), "values": values}}
    names = [f"metric_{number:02}" for number in range(METRICS // 3)]
    metrics = {
        split: dict(zip(names, random.random(len(names)).tolist(), strict=True))
        for split in ("train", "validation", "test")
    }
    curves = {}
    for number in range(CURVES):
        x, y = np.sort(random.random((2, CURVE_POINTS)))
        axes = {"split": "test", "x_name": "x", "y_name": "y"}
        curves[f"curve_{number}"] = axes | {"x": x.tolist(), "y": y.tolist()}
    return json.dumps(parameters), metrics, curves


def _write_folder(root: Path, training: Training, drawn: tuple[str, dict[str, Any], dict[str, Any]]) -> str:
    parameters, metrics, curves = drawn
    identity = {
        "deployment": training.deployment,
        "portfolio": training.portfolio,
        "model": training.model,
        "data_date": training.data_date.isoformat(),
        "training_id": training.training_id,
        "attempt": 1,
    }
    hashes = {"code_sha256": "c" * 64, "portfolio_sha256": "d" * 64, "input_fingerprint": "e" * 64}
    features = {"format_version": 2, "num_features": COEFFICIENTS, "feature_space": "bench"}
    request = json.dumps(features | {"training": identity, "lineage": hashes}).encode()
    head = features | {
        "kind": "logistic_regression",
        "score_kind": "probability",
        "threshold": 0.5,
        "correction": None,
        "calibration": None,
        "label_names": {"0": "0", "1": "1"},
        "lineage": hashes | {"training_id": training.training_id, "attempt": 1},
    }
    artifact = f'{json.dumps(head)[:-1]}, "parameters": {parameters}}}'.encode()
    files = {
        "artifact.json": artifact,
        "metrics.json": json.dumps({"format_version": 2, "metrics": metrics, "threshold": 0.5}).encode(),
        "curves.json": json.dumps({"format_version": 2, "curves": curves}).encode(),
    }
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
    files |= {"request.json": request, "manifest.json": json.dumps(manifest).encode()}
    bucket, prefix = split_uri(training.attempt_folder(1))
    folder = root / bucket / prefix
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return str(manifest["request_sha256"])
