"""A DAG run of a portfolio, and what holds of it after any fault: one cluster an attempt, no strays, the rest well."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass, field
from datetime import date
from hashlib import sha256
from typing import Any
from uuid import uuid4

from local_aws.faults.kinds import Fault, NoCapacity, Simulate
from tests.faults.installation import BUCKET, DATA_DATE, Account, Airflow, Yard, wait_for
from tests.trainyard.publishing.conftest import Folder
from trainyard import databases, ledger
from trainyard.job_flow import cluster_name
from trainyard.laptop.airflow_api import Json
from trainyard.ledger import Attempt
from trainyard.training import Training, split_uri

_GONE = ("TERMINATING", "TERMINATED", "TERMINATED_WITH_ERRORS")
_OVER = ("success", "failed", "skipped", "upstream_failed")
WELL = ["succeeded"]


@dataclass
class Run:
    """One run of a portfolio, to be started; what is asked of it goes to Airflow, the ledger and the journal."""

    yard: Yard
    portfolio: str
    models: tuple[str, ...]
    account: Account
    app_url: str
    airflow: Airflow
    deployment: str = "near"
    run_id: str = field(default_factory=lambda: f"run-{uuid4().hex[:8]}")

    def training(self, model: str) -> Training:
        return Training(
            deployment=self.deployment,
            portfolio=self.portfolio,
            model=model,
            data_date=date.fromisoformat(DATA_DATE),
            dag_id=self.portfolio,
            run_id=self.run_id,
            output_root=f"s3://{BUCKET}/models/",
        )

    # what is prepared before it starts

    def clusters(self, model: str, attempt: int | None = None) -> str:
        """The pattern of the names of a model's clusters."""
        return cluster_name(self.training(model), 1)[:-1] + (str(attempt) if attempt else "*")

    def befall(self, *faults: Fault) -> None:
        self.account.aws.add_faults(*faults)

    def lasts(self, model: str, seconds: float, *, attempt: int | None = 1) -> None:
        """How long the steps of a model's attempt take, instead of 10 s."""
        self.befall(Simulate(cluster=self.clusters(model, attempt), step_seconds=seconds))

    def hold(self, *models: str) -> list[str]:
        """EC2 has no instances for the models' first clusters until they are released."""
        faults = [NoCapacity(cluster=self.clusters(model, 1)) for model in models]
        return self.account.aws.add_faults(*faults)

    def release(self, held: list[str]) -> None:
        for fault_id in held:
            self.account.aws.remove_fault(fault_id)

    def die_at(self, point: str, model: str) -> None:
        """The worker that launches the model's first attempt dies at a point of ``fault_points``, once."""
        (self.yard.points / f"{point}.{self.clusters(model, 1)}").touch()

    def tell_failure(self, model: str, attempt: int, code: str) -> None:
        """The word that a job leaves of why it fails."""
        bucket, prefix = split_uri(self.training(model).attempt_folder(attempt))
        told = {"format_version": 2, "training": None, "code": code, "sentence": "so it is", "lines": []}
        body = json.dumps({**told, "place": None}).encode()
        self.account.client("s3").put_object(Bucket=bucket, Key=f"{prefix}failure.json", Body=body)

    def finish_job(self, model: str) -> None:
        """What the job of a first attempt leaves when it succeeds, so that ``publish`` takes its word for it."""
        s3, training = self.account.client("s3"), self.training(model)
        bucket, prefix = split_uri(training.attempt_folder(1))
        request = s3.get_object(Bucket=bucket, Key=f"{prefix}request.json")["Body"].read()
        folder = Folder(training, artifact={"feature_space": model})
        files = folder.files()
        manifest = {
            "format_version": 2,
            "status": "succeeded",
            "training": folder.identity,
            "request_sha256": sha256(request).hexdigest(),
            "files": {
                name: {"sha256": sha256(body).hexdigest(), "size": len(body)} for name, body in files.items()
            },
            "finished_at": "2026-11-23T02:10:00+00:00",
        }
        for name, body in (files | {"manifest.json": json.dumps(manifest).encode()}).items():
            s3.put_object(Bucket=bucket, Key=prefix + name, Body=body)

    def _leave_manifests(self) -> None:
        """Simulated steps write nothing, and an attempt without a manifest is not taken as done by who looks later."""
        s3 = self.account.client("s3")
        for model in self.models:
            for attempt in (1, 2, 3):
                bucket, prefix = split_uri(self.training(model).attempt_folder(attempt))
                s3.put_object(Bucket=bucket, Key=f"{prefix}manifest.json", Body=b"{}")

    # what happens to it

    def start(self) -> Run:
        self._leave_manifests()
        conf = {"data_date": DATA_DATE, "models": list(self.models)}
        body = {"dag_run_id": self.run_id, "logical_date": None, "conf": conf}
        self.airflow.api.post("dags", self.portfolio, "dagRuns", body=body)
        return self

    def wait_until_waiting(self, *models: str, attempt: int = 1) -> None:
        """Until the triggerer has the waits of these models, all by default."""
        for model in models or self.models:
            wait_for(
                lambda model=model: self._waits(model, attempt), f"{model} of {self.run_id} to be waited for"
            )

    def wait_until_over(self, *, seconds: float = 600) -> str:
        def state() -> str | None:
            found = str(self.airflow.api.get("dags", self.portfolio, "dagRuns", self.run_id)["state"])
            return found if found in ("success", "failed") else None

        return wait_for(state, f"run {self.run_id} of {self.portfolio} to end", seconds=seconds)

    def mark(self, model: str, state: str) -> None:
        """As a person marks the wait in the UI."""
        place = (
            "dags",
            self.portfolio,
            "dagRuns",
            self.run_id,
            "taskInstances",
            f"{model}.wait_for_training",
        )
        self.airflow.api.patch(*place, body={"new_state": state})

    def clear(self, *task_ids: str) -> None:
        body = {
            "dry_run": False,
            "dag_run_id": self.run_id,
            "task_ids": list(task_ids),
            "only_failed": False,
            "only_running": False,
            "include_downstream": False,
        }
        self.airflow.api.post("dags", self.portfolio, "clearTaskInstances", body=body)

    def wait_until_gone(self, model: str, attempt: int = 1) -> None:
        """Until the model's cluster is being terminated, and the ledger told of it."""
        name = self.clusters(model, attempt)

        def gone() -> bool:
            over = self.account.lives(name) and not self._live(name)
            return bool(over) and self.attempts(model)[attempt - 1].state == "ended"

        wait_for(gone, f"{name} to be terminated")

    # what may be said of it

    def task(self, task_id: str) -> Json:
        place = ("dags", self.portfolio, "dagRuns", self.run_id, "taskInstances", task_id)
        return self.airflow.api.get(*place)

    def triggerer(self, model: str) -> int | None:
        """Which triggerer has the model's wait."""
        trigger = self.task(f"{model}.wait_for_training")["trigger"]
        return trigger and trigger["triggerer_id"]

    def tries(self) -> dict[str, int]:
        place = ("dags", self.portfolio, "dagRuns", self.run_id, "taskInstances")
        tasks = self.airflow.api.get(*place, limit=1000)["task_instances"]
        return {task["task_id"]: task["try_number"] for task in tasks}

    def attempts(self, model: str) -> list[Attempt]:
        app = databases.engine(self.app_url)
        try:
            return ledger.attempts(app, self.training(model).training_id)
        finally:
            app.dispose()

    def launches(self, model: str) -> int:
        """RunJobFlow calls of the model that EMR acted upon."""
        calls = self.account.calls("RunJobFlow", self.clusters(model))
        return sum(call["error"] is None for call in calls)

    def outcomes(self, model: str) -> list[str]:
        return [attempt.failure_code or attempt.outcome or attempt.state for attempt in self.attempts(model)]

    def strays(self) -> set[str]:
        """The models that have a cluster that is not being terminated."""
        return {model for model in self.models if self._live(self.clusters(model))}

    def assert_sound(
        self, histories: dict[str, list[str]] | None = None, *, strays: set[str] = frozenset()
    ) -> None:
        """What holds after every fault, once nothing waits any more and before any reaper has run.

        - no attempt has had a second cluster, and the ledger and EMR agree on the one;
        - no cluster is left, but for ``strays``;
        - each model's attempts ended as ``histories`` says; a model that it does not name was not troubled: one
          attempt, one launch, one cluster whose steps completed.

        :param histories: of each troubled model, how its attempts ended: patterns of failure codes, or "succeeded"
        """
        assert self.strays() == strays, "clusters are left over"
        for model in self.models:
            attempts, lives = self.attempts(model), self.account.lives(self.clusters(model))
            names = Counter(life["name"] for life in lives)
            assert set(names.values()) <= {1}, f"an attempt has two clusters: {names}"
            recorded = {each.cluster_name: each.cluster_id for each in attempts if each.cluster_id}
            if model not in strays:
                assert recorded == {life["name"]: life["cluster_id"] for life in lives}, model
            if model in (histories or {}):
                expected, found = (histories or {})[model], self.outcomes(model)
                assert len(found) == len(expected), f"{model}: {found}"
                assert all(map(re.fullmatch, expected, found)), f"{model}: {found}"
            else:
                self._assert_untroubled(model, attempts, lives)

    def _assert_untroubled(self, model: str, attempts: list[Attempt], lives: list[Json]) -> None:
        assert self.outcomes(model) == WELL, f"{model} was troubled as well"
        assert len(lives) == 1, model
        assert lives[0]["changes"][-1]["code"] == "ALL_STEPS_COMPLETED", lives[0]
        assert self.launches(model) == 1, model
        assert self.task(f"{model}.wait_for_training")["state"] == "success"

    def _live(self, pattern: str) -> list[Any]:
        lives = self.account.lives(pattern)
        return [life for life in lives if life["changes"][-1]["state"] not in _GONE]

    def _waits(self, model: str, attempt: int) -> bool:
        attempts = self.attempts(model)
        if len(attempts) < attempt or attempts[attempt - 1].awaited_at is None:
            return False
        task = self.task(f"{model}.wait_for_training")
        return task["state"] in _OVER or (task["state"] == "deferred" and self.triggerer(model) is not None)


def new_run(yard: Yard, portfolio: str, *, far: bool = False, run_id: str | None = None) -> Run:
    """A run of a portfolio, of all its models, to be prepared and started.

    :param far: of the other deployment in the account
    """
    grown = yard.portfolios[portfolio]
    urls = {
        "app_db": yard.postgres.url("far_app" if far else "app"),
        "app_mortal": yard.mortal_postgres.url("app"),
    }
    return Run(
        yard=yard,
        portfolio=portfolio,
        models=grown.models,
        account=yard.accounts[grown.aws],
        app_url=urls[grown.app_db],
        airflow=yard.far_airflow if far else yard.airflow,
        deployment="near-by" if far else "near",
        run_id=run_id or f"run-{uuid4().hex[:8]}",
    )


def reap(airflow: Airflow) -> None:
    """Let the reaper do its work now."""
    run_id = f"reap-{uuid4().hex[:8]}"
    airflow.api.post("dags", "reaper_now", "dagRuns", body={"dag_run_id": run_id, "logical_date": None})

    def state() -> str | None:
        found = str(airflow.api.get("dags", "reaper_now", "dagRuns", run_id)["state"])
        return found if found in ("success", "failed") else None

    assert wait_for(state, "the reaper to end", seconds=120) == "success"
