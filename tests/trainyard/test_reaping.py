"""What the reaper ends, and above all what it does not: boto3 against local_aws, a real ledger."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta, timezone
from typing import Any
from uuid import uuid4

import boto3
import pytest
from sqlalchemy import Engine, text

from trainyard import clusters, ledger, reaping
from trainyard.databases import engine, upgrade_app_db
from trainyard.job_flow import DEPLOYMENT_TAG, MAXIMUM_AGE_TAG
from trainyard.ledger import ClusterId
from trainyard.reaping import RunsUnreadableError
from trainyard.training import Training


@dataclass
class PlayedRuns:
    """Airflow's runs, of which some go on."""

    going_on: set[str] = field(default_factory=set)
    readable: bool = True

    def wait_goes_on(self, *, dag_id: str, run_id: str, model: str) -> bool:
        if not self.readable:
            raise RunsUnreadableError("away")
        return run_id in self.going_on


@dataclass
class Yard:
    """A deployment of the test's own, so that clusters of other tests are none of its."""

    app: Engine
    emr: Any
    deployment: str = field(default_factory=lambda: f"d{uuid4().hex[:8]}")
    runs: PlayedRuns = field(default_factory=PlayedRuns)

    def training(self, run_id: str) -> Training:
        return Training(
            deployment=self.deployment,
            portfolio="shop",
            model="hotels",
            data_date=date(2026, 11, 22),
            dag_id="shop",
            run_id=run_id,
            output_root="s3://bucket/models",
        )

    def launch(
        self, run_id: str, *, recorded: bool = True, deployment_tag: str | None = None, age: int = 100
    ) -> ClusterId:
        """A cluster with its row; tags as a launch gives them."""
        attempt = ledger.allocate(self.app, training=self.training(run_id), aws_conn_id="aws")
        cluster_id = self.cluster(attempt.cluster_name, deployment_tag or self.deployment, age)
        if recorded:
            ledger.record_launch(
                self.app, training_id=attempt.training_id, attempt=attempt.attempt, cluster_id=cluster_id
            )
        return cluster_id

    def cluster(self, name: str, deployment: str, age: int = 100) -> ClusterId:
        primary = {"InstanceRole": "MASTER", "InstanceType": "m7g.xlarge", "InstanceCount": 1}
        answer = self.emr.run_job_flow(
            Name=name,
            ReleaseLabel="emr-7.13.0",
            Instances={"InstanceGroups": [primary]},
            JobFlowRole="EMR_EC2_DefaultRole",
            ServiceRole="EMR_DefaultRole",
            Tags=[
                {"Key": DEPLOYMENT_TAG, "Value": deployment},
                {"Key": MAXIMUM_AGE_TAG, "Value": str(age)},
            ],
        )
        return ClusterId(answer["JobFlowId"])

    def reap(self, *, dry_run: bool = False) -> dict[ClusterId, str]:
        reaped = reaping.reap(
            app=self.app, emr=self.emr, deployment=self.deployment, runs=self.runs, dry_run=dry_run
        )
        assert reaped.failures == []
        return {stray.cluster.cluster_id: stray.why for stray in reaped.strays}

    def is_live(self, cluster_id: ClusterId) -> bool:
        return not clusters.describe(self.emr, cluster_id).state.startswith("TERMINAT")


@pytest.fixture
def yard(idle_aws_url: str, database_url: str) -> Iterator[Yard]:
    app = engine(database_url)
    upgrade_app_db(app)
    emr = boto3.client(
        "emr",
        endpoint_url=idle_aws_url,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    yield Yard(app, emr)
    app.dispose()


def older(monkeypatch: pytest.MonkeyPatch, minutes: int) -> None:
    """Every cluster is so much older than it is."""
    live_clusters = clusters.live_clusters

    def aged(emr: Any) -> list[clusters.ActiveCluster]:
        return [
            replace(item, created_at=datetime.now(timezone.utc) - timedelta(minutes=minutes))
            for item in live_clusters(emr)
        ]

    monkeypatch.setattr(clusters, "live_clusters", aged)


def test_a_cluster_whose_run_waits_for_it_is_left_alone(yard: Yard) -> None:
    yard.runs.going_on.add("run")
    cluster_id = yard.launch("run")
    assert yard.reap() == {}
    assert yard.is_live(cluster_id)


def test_a_cluster_whose_launch_is_not_recorded_yet_is_left_to_its_run(yard: Yard) -> None:
    yard.runs.going_on.add("run")
    cluster_id = yard.launch("run", recorded=False)
    assert yard.reap() == {}
    assert yard.is_live(cluster_id)


def test_a_cluster_whose_run_is_over_or_deleted_is_ended_and_its_attempt_with_it(yard: Yard) -> None:
    cluster_id = yard.launch("deleted")
    assert yard.reap() == {cluster_id: "run deleted of shop does not wait for it"}
    assert not yard.is_live(cluster_id)
    (attempt,) = ledger.attempts(yard.app, yard.training("deleted").training_id)
    assert (attempt.outcome, attempt.failure_code) == ("abandoned", "reaped")


def test_a_cluster_of_an_ended_attempt_is_ended_though_its_run_goes_on(yard: Yard) -> None:
    yard.runs.going_on.add("run")
    cluster_id = yard.launch("run")
    ledger.end(
        yard.app,
        training_id=yard.training("run").training_id,
        attempt=1,
        outcome="abandoned",
        failure_code="task_ended",
    )
    assert yard.reap() == {cluster_id: "its attempt has ended (task_ended)"}
    assert not yard.is_live(cluster_id)


def test_a_second_cluster_of_an_attempt_is_ended_and_the_first_goes_on(yard: Yard) -> None:
    yard.runs.going_on.add("run")
    first = yard.launch("run")
    (attempt,) = ledger.attempts(yard.app, yard.training("run").training_id)
    second = yard.cluster(attempt.cluster_name, yard.deployment)
    assert yard.reap() == {second: f"its attempt has another cluster, {first}"}
    assert yard.is_live(first)
    assert ledger.attempts(yard.app, attempt.training_id)[0].state == "launched"


def test_another_deployment_s_cluster_is_not_touched_even_if_its_name_begins_alike(yard: Yard) -> None:
    theirs = yard.cluster(
        f"trainyard-{yard.deployment}-more-shop-hotels-1", f"{yard.deployment}-more", age=31
    )
    disguised = yard.launch("over", deployment_tag="another")
    assert yard.reap() == {}
    assert yard.is_live(theirs)
    assert yard.is_live(disguised)


def test_a_cluster_that_the_ledger_does_not_know_is_ended_by_its_age_only(
    yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    unknown = yard.cluster(f"trainyard-{yard.deployment}-shop-hotels-1-attempt-1", yard.deployment, age=100)
    older(monkeypatch, 99)
    assert yard.reap() == {}
    older(monkeypatch, 101)
    assert list(yard.reap()) == [unknown]
    assert not yard.is_live(unknown)


def test_over_age_counts_whoever_owns_it(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    yard.runs.going_on.add("run")
    cluster_id = yard.launch("run", age=100)
    older(monkeypatch, 101)
    assert list(yard.reap()) == [cluster_id]


def test_where_runs_cannot_be_read_only_age_counts(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    yard.runs.readable = False
    cluster_id = yard.launch("over", age=100)
    assert yard.reap() == {}
    assert yard.is_live(cluster_id)
    older(monkeypatch, 101)
    assert list(yard.reap()) == [cluster_id]


def test_a_dry_run_says_what_it_would_end_and_ends_nothing(yard: Yard) -> None:
    cluster_id = yard.launch("over")
    assert list(yard.reap(dry_run=True)) == [cluster_id]
    assert yard.is_live(cluster_id)


def test_an_attempt_that_never_got_a_cluster_holds_no_slot_after_its_run(yard: Yard) -> None:
    yard.runs.going_on.add("run")
    for run_id in ("run", "over"):
        ledger.allocate(yard.app, training=yard.training(run_id), aws_conn_id="aws")
    with yard.app.begin() as connection:
        connection.execute(text("UPDATE operations.attempt SET intended_at = now() - interval '2 hours'"))
    ended = reaping.end_forgotten(app=yard.app, deployment=yard.deployment, runs=yard.runs)
    assert [attempt.run_id for attempt in ended] == ["over"]
    assert ledger.aws_connections(yard.app, yard.deployment) == ["aws"]
