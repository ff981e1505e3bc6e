"""A run to publish: both databases, an S3, and training folders as the job writes them."""

from __future__ import annotations

import gzip
import hashlib
import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import boto3
import pytest
from botocore.config import Config
from sqlalchemy import Engine, text

from trainyard import ledger
from trainyard.costs import AskedInstances
from trainyard.databases import engine, upgrade_analytics_db, upgrade_app_db
from trainyard.laptop.postgres import PostgresServer
from trainyard.ledger import ClusterId, StepId
from trainyard.publishing import Policy, RunReport, publish_run
from trainyard.publishing.approval import OPEN
from trainyard.training import Sha256, Training, split_uri

BUCKET = "publishing-tests"
TODAY = date(2026, 11, 22)
# 40 normalized hours and 1.2 dollars an hour: m5.xlarge, EMR's charge a quarter of EC2's
INSTANCES = tuple(
    AskedInstances(
        role=role,
        instance_type="m5.xlarge",
        count=count,
        market="ON_DEMAND",
        normalized_hours_per_hour=8,
        ec2_usd_per_hour=0.192,
        emr_usd_per_hour=0.048,
    )
    for role, count in (("MASTER", 1), ("CORE", 4))
)
SERVING = (
    *("serving.model_version", "serving.decision", "serving.activation", "serving.pin"),
    *("serving.served_model", "serving.emptying"),
)
ANALYTICS = ("analytics.training", "analytics.split_metrics", "analytics.comparison", "analytics.curve")


@pytest.fixture(scope="session")
def s3(local_aws_url: str) -> Any:
    client = boto3.client(
        "s3",
        endpoint_url=local_aws_url,
        aws_access_key_id="test",
        aws_secret_access_key="test",
        region_name="us-east-1",
        config=Config(s3={"addressing_style": "path"}),
    )
    client.create_bucket(Bucket=BUCKET)
    return client


@pytest.fixture(scope="session")
def session_databases(postgres: PostgresServer) -> Iterator[tuple[Engine, Engine]]:
    """Application and analytics database at their heads; made once, since that takes longer than most tests."""
    postgres.create_databases("publishing_app", "publishing_analytics")
    app, analytics = engine(postgres.url("publishing_app")), engine(postgres.url("publishing_analytics"))
    upgrade_app_db(app)
    upgrade_analytics_db(analytics)
    yield app, analytics
    app.dispose()
    analytics.dispose()


def _empty(database: Engine, *tables: str) -> None:
    with database.begin() as connection:
        # the triggers that refuse it sleep while rows are replicated
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        connection.execute(text(f"TRUNCATE {', '.join(tables)} RESTART IDENTITY"))


@dataclass(frozen=True)
class Folder:
    """What a job leaves; a test changes a part and writes it."""

    training: Training
    attempt: int = 1
    request: dict[str, Any] = field(default_factory=dict)
    artifact: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)
    curves: dict[str, Any] = field(default_factory=dict)
    manifest: dict[str, Any] = field(default_factory=dict)
    gzipped: bool = False

    @property
    def identity(self) -> dict[str, Any]:
        training = self.training
        return {
            "deployment": training.deployment,
            "portfolio": training.portfolio,
            "model": training.model,
            "data_date": training.data_date.isoformat(),
            "training_id": training.training_id,
            "attempt": self.attempt,
        }

    def request_bytes(self) -> bytes:
        lineage = {
            "code_sha256": "c" * 64,
            "portfolio_sha256": "d" * 64,
            "input_fingerprint": "e" * 64,
            "dag_id": self.training.dag_id,
            "run_id": self.training.run_id,
        }
        request = {"format_version": 2, "training": self.identity, "lineage": lineage}
        request |= {"num_features": 240, "feature_space": "hotels-v1"}
        return json.dumps(request | self.request, sort_keys=True).encode()

    def files(self) -> dict[str, bytes]:
        """Every file but request and manifest."""
        lineage = json.loads(self.request_bytes())["lineage"] | {
            "training_id": self.training.training_id,
            "attempt": self.attempt,
            "data_date": self.training.data_date.isoformat(),
        }
        artifact = {
            "format_version": 2,
            "kind": "logistic_regression",
            "score_kind": "probability",
            "num_features": 240,
            "feature_space": "hotels-v1",
            "parameters": {
                "intercept": -2.125,
                "coefficients": {"indices": [0, 7, 239], "values": [0.5, -1.25, 3e-05]},
            },
            "threshold": 0.5,
            "correction": None,
            "calibration": None,
            "label_names": {"0": "0", "1": "1"},
            "lineage": lineage,
        } | self.artifact
        on_test = {
            "rows": 10000,
            "base_rate": 0.21,
            "auc": 0.93,
            "log_loss": 0.31,
            "precision": 0.8,
            "recall": 0.7,
        }
        metrics = {
            "format_version": 2,
            "metrics": {"train": {"rows": 40000, "base_rate": 0.2}, "test": on_test},
            "threshold": 0.5,
            "durations_seconds": {"load": 2.5, "learn": 4, "evaluate": 1, "total": 7.75},
            "iterations": 31,
            "objective": 0.29,
            "warnings": [{"code": "not_converged", "sentence": "It stopped at the limit of 31 iterations."}],
            "comparisons": {"champion": None, "best_recent": None},
        } | self.metrics
        roc = {"split": "test", "x_name": "false_positive_rate", "y_name": "true_positive_rate"}
        curves = {
            "format_version": 2,
            "curves": {"roc": roc | {"x": [0, 0.25, 1], "y": [0, 0.75, 1]}},
        } | self.curves
        content = json.dumps(artifact, sort_keys=True).encode()
        stored = {"artifact.json.gz": gzip.compress(content)} if self.gzipped else {"artifact.json": content}
        return stored | {
            "metrics.json": json.dumps(metrics, sort_keys=True).encode(),
            "curves.json": json.dumps(curves, sort_keys=True).encode(),
            "model/metadata/part-00000": b'{"class":"org.apache.spark.ml.classification.LogisticRegressionModel"}\n',
        }

    def write(self, s3: Any) -> None:
        files = self.files()
        manifest = {
            "format_version": 2,
            "status": "succeeded",
            "training": self.identity,
            "request_sha256": hashlib.sha256(self.request_bytes()).hexdigest(),
            "files": {
                name: {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}
                for name, content in files.items()
            },
            "finished_at": "2026-11-23T02:10:00+00:00",
        } | self.manifest
        files["request.json"] = self.request_bytes()
        for name, content in files.items():
            self.put(s3, name, content)
        self.put(s3, "manifest.json", json.dumps(manifest).encode())

    def put(self, s3: Any, name: str, content: bytes) -> None:
        bucket, prefix = split_uri(self.training.attempt_folder(self.attempt))
        s3.put_object(Bucket=bucket, Key=prefix + name, Body=content)

    def delete(self, s3: Any, name: str) -> None:
        bucket, prefix = split_uri(self.training.attempt_folder(self.attempt))
        s3.delete_object(Bucket=bucket, Key=prefix + name)


@dataclass(frozen=True)
class Yard:
    """Both databases and S3, and one-line ways to have trainings in them."""

    app: Engine
    analytics: Engine
    s3: Any
    root: str

    def training(self, model: str, *, run: str = "run-1", data_date: date = TODAY) -> Training:
        return Training(
            deployment="laptop",
            portfolio="demo",
            model=model,
            data_date=data_date,
            dag_id="demo",
            run_id=run,
            output_root=self.root,
        )

    def attempt(
        self,
        training: Training,
        *,
        outcome: str | None = "succeeded",
        request: dict[str, Any] | None = None,
        instances: tuple[AskedInstances, ...] | None = INSTANCES,
        **causes: str,
    ) -> ledger.Attempt:
        """One more attempt in the ledger, launched and (unless ``outcome`` is None) ended."""
        attempt = ledger.allocate(self.app, training=training, aws_conn_id="aws_default")
        key = {"training_id": training.training_id, "attempt": attempt.attempt}
        content = Folder(training, attempt.attempt, request=request or {}).request_bytes()
        ledger.record_request(
            self.app,
            **key,
            request_sha256=Sha256(hashlib.sha256(content).hexdigest()),
            instances=instances,
        )
        cluster = ClusterId(f"j-{training.training_id[:8]}-{attempt.attempt}")
        attempt = ledger.record_launch(self.app, **key, cluster_id=cluster, step_id=StepId("s-1"))
        if outcome is not None:
            attempt = ledger.end(self.app, **key, outcome=outcome, **causes)
        return attempt

    def succeeded(self, model: str, *, run: str = "run-1", data_date: date = TODAY, **parts: Any) -> Training:
        """A training whose only attempt succeeded and left its folder."""
        training = self.training(model, run=run, data_date=data_date)
        self.attempt(training)
        Folder(training, **parts).write(self.s3)
        return training

    def unended(self, model: str) -> Training:
        """A training that left its folder, and whose end the ledger was not told of."""
        training = self.training(model)
        self.attempt(training, outcome=None)
        Folder(training).write(self.s3)
        return training

    def folder(self, training: Training, **parts: Any) -> Folder:
        """The folder of the training's first attempt, not written yet."""
        return Folder(training, **parts)

    def publish(self, *trainings: Training, activate: bool = True, policy: Policy = OPEN) -> RunReport:
        first = trainings[0]
        return publish_run(
            app=self.app,
            analytics=self.analytics,
            s3=self.s3,
            trainings=trainings,
            dag_id=first.dag_id,
            run_id=first.run_id,
            data_date=first.data_date,
            portfolio=first.portfolio,
            activate=activate,
            policy=policy,
        )

    def rows(self, query: str, **parameters: Any) -> list[tuple[Any, ...]]:
        database = self.analytics if "analytics." in query else self.app
        with database.connect() as connection:
            return [tuple(row) for row in connection.execute(text(query), parameters)]

    def live(self) -> dict[str, str]:
        """Which training serves, by model."""
        return dict(self.rows("SELECT model, training_id FROM serving.live_model"))  # type: ignore[arg-type]


@pytest.fixture
def yard(session_databases: tuple[Engine, Engine], s3: Any) -> Yard:
    """Empty databases, and a folder of the test's own in S3."""
    app, analytics = session_databases
    _empty(app, "operations.attempt", *SERVING)
    _empty(analytics, *ANALYTICS)
    return Yard(app, analytics, s3, root=f"s3://{BUCKET}/{uuid.uuid4().hex}")
