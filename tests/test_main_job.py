"""The main job on the real thing: Airflow's scheduler and triggerer, PostgreSQL, Spark on local_aws.

One stack for all; each test asks for runs of its own and looks at what they left in the databases.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from psycopg.rows import dict_row
from rich.console import Console

from trainyard.laptop import airflow_api
from trainyard.laptop.airflow_api import AirflowApiError, parse_time
from trainyard.laptop.demo_inputs import (
    FEATURES_BUCKET,
    aws_client,
    demo_portfolio,
    recent_data_dates,
)
from trainyard.laptop.demo_runs import parsed_dag
from trainyard.laptop.environment import airflow_environment, database_url
from trainyard.laptop.settings import PART_NAMES, ROOT, Ports, Settings
from trainyard.laptop.stack import Stack, running_stack
from trainyard.laptop.timeline import Timeline

# the trainings of all these runs queue for two slots
pytestmark = pytest.mark.timeout(1800)

MODELS = ("breast_cancer", "flights", "hotels", "original_sample")
SMALL = ("breast_cancer", "original_sample")


@dataclass(frozen=True)
class Airflow:
    """The stack as its user sees it."""

    stack: Stack
    dags: Path
    # as it was at the start: a night may begin meanwhile
    newest_data_date: date
    # of the first run's slot: today's, or yesterday's until tonight's is due
    first_night: date

    def start_run(self, *, logical_date: str | None = None, **conf: Any) -> str:
        if logical_date is None:
            conf = {"data_date": self.newest_data_date.isoformat(), **conf}
        body = {"dag_run_id": f"test-{uuid4().hex[:8]}", "logical_date": logical_date, "conf": conf}
        return str(self.stack.api.post("dags", "demo", "dagRuns", body=body)["dag_run_id"])

    def end_of(self, run_id: str) -> str:
        """The run's state once it has ended."""

        def ended() -> str | None:
            state = str(self.stack.api.get("dags", "demo", "dagRuns", run_id)["state"])
            return state if state in ("success", "failed") else None

        return self.wait_for(ended, f"run {run_id} to end")

    def wait_for(self, found: Callable[[], Any], what: str) -> Any:
        """Wait for what stands behind other runs: for as long as tasks of any run come further."""
        return wait_for(found, what, moving=self.task_states)

    def task_states(self) -> list[dict[str, Any]]:
        return self.rows(
            "airflow",
            "SELECT dag_id, run_id, task_id, try_number, state FROM task_instance ORDER BY dag_id, run_id, task_id",
        )

    def tasks(self, run_id: str) -> dict[str, str | None]:
        answer = self.stack.api.get("dags", "demo", "dagRuns", run_id, "taskInstances")
        return {task["task_id"]: task["state"] for task in answer["task_instances"]}

    def tries(self, run_id: str, task_id: str) -> int:
        task = self.stack.api.get("dags", "demo", "dagRuns", run_id, "taskInstances", task_id)
        return int(task["try_number"])

    def log_of(self, run_id: str, task_id: str) -> str:
        place = ("dags", "demo", "dagRuns", run_id, "taskInstances", task_id, "logs", "1")
        return str(self.stack.api.get(*place, full_content="true")["content"])

    def rows(self, database: str, sql: str, **values: Any) -> list[dict[str, Any]]:
        with psycopg.connect(database_url(self.stack.settings, database), row_factory=dict_row) as connection:
            return connection.execute(sql, values).fetchall()


def wait_for(
    found: Callable[[], Any], what: str, *, seconds: float = 300, moving: Callable[[], Any] = lambda: None
) -> Any:
    """The first that is found.

    :param seconds: how long to wait since ``moving`` last told of something else than before
    """
    seen, deadline = moving(), time.monotonic() + seconds
    while (value := found()) is None:
        if (now := moving()) != seen:
            seen, deadline = now, time.monotonic() + seconds
        assert time.monotonic() < deadline, f"waited {seconds:.0f} s for {what}; {seen or ''}"
        time.sleep(0.5)
    return value


@contextmanager
def patient_api() -> Iterator[None]:
    """An api-server that stands still with its machine has two minutes to answer."""
    opener = airflow_api._OPENER
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            airflow_api,
            "_OPENER",
            SimpleNamespace(open=lambda request, timeout: opener.open(request, timeout=120)),
        )
        yield


@pytest.fixture(scope="module")
def airflow(
    tmp_path_factory: pytest.TempPathFactory, free_ports: Callable[[int], list[int]]
) -> Iterator[Airflow]:
    """The stack after a first run, which took the due slot, so that unpausing made none of its own."""
    folder = tmp_path_factory.mktemp("main_job")
    dags = folder / "dags"
    shutil.copytree(ROOT / "dags", dags, ignore=shutil.ignore_patterns("__pycache__"))
    ports = Ports(**dict(zip(PART_NAMES, free_ports(len(PART_NAMES)), strict=True)))
    settings = Settings(state=folder / "state", ports=ports, dags=dags)
    begun = datetime.now(timezone.utc)
    timeline = Timeline(Console(quiet=True))
    with patient_api(), running_stack(settings, command="the tests", timeline=timeline) as stack:
        dag = wait_for(lambda: parsed_dag(stack.api, since=begun), "the DAG demo to be parsed")
        newest = recent_data_dates(demo_portfolio(dags), begun)[0]
        slot = dag["next_dagrun_logical_date"]
        airflow = Airflow(stack, dags, newest, first_night=parse_time(slot).date())
        first = airflow.start_run(logical_date=slot, models=[*SMALL])
        stack.api.patch("dags", "demo", body={"is_paused": False})
        assert airflow.end_of(first) == "success", airflow.tasks(first)
        yield airflow


@dataclass(frozen=True)
class Runs:
    """Runs of the demo's DAG that go on side by side; each test waits for its own."""

    one_model: str
    unknown_key: str
    half_failed: str
    unpublished: str
    # data dates
    backfilled: list[date]


@pytest.fixture(scope="module")
def runs(airflow: Airflow) -> Runs:
    bad_day = airflow.newest_data_date + timedelta(days=1)
    put_half_bad_inputs(airflow, bad_day)
    # the three nights before the first run's; the run of a day trains on the day before
    nights = [airflow.first_night - timedelta(days=number) for number in (3, 2, 1)]
    started = Runs(
        # no model is activated by two of them at once: the later one's champion would have changed meanwhile
        one_model=airflow.start_run(models=["breast_cancer"]),
        unknown_key=airflow.start_run(modls=["original_sample"]),
        half_failed=airflow.start_run(
            models=[*SMALL, "flights"],
            data_date=bad_day.isoformat(),
            overrides={"inputs": {"wait_minutes": 2}},
            publish=True,
        ),
        unpublished=airflow.start_run(models=["original_sample"], publish=False),
        backfilled=[night - timedelta(days=1) for night in nights],
    )
    # a date alone would be its midnight
    span = ["--from-date", str(nights[0]), "--to-date", f"{nights[-1]}T23:59"]
    conf = ["--dag-run-conf", json.dumps({"models": SMALL})]
    subprocess.run(
        [sys.executable, "-m", "airflow", "backfill", "create", "--dag-id", "demo", *span, *conf],
        env={**airflow.stack.supervisor.environment, **airflow_environment(airflow.stack.settings)},
        check=True,
        capture_output=True,
        timeout=400,
    )
    return started


def put_half_bad_inputs(airflow: Airflow, day: date) -> None:
    """A day whose features are good for one model, broken for another and missing for the rest."""
    s3 = aws_client(airflow.stack.settings, "s3")
    for split in ("train", "test"):
        key = f"original_sample/{airflow.newest_data_date}/{split}/part-00000.libsvm"
        good = s3.get_object(Bucket=FEATURES_BUCKET, Key=key)["Body"].read()
        for model, body in (("original_sample", good), ("breast_cancer", b"1 1:0.5\n0 1:x\n")):
            s3.put_object(Bucket=FEATURES_BUCKET, Key=f"{model}/{day}/{split}/part-0", Body=body)
            s3.put_object(Bucket=FEATURES_BUCKET, Key=f"{model}/{day}/{split}/_SUCCESS")


def test_a_run_publishes_its_models_and_unpausing_adds_no_run(airflow: Airflow) -> None:
    live = airflow.rows("app", "SELECT model FROM serving.live_model ORDER BY model")
    assert [row["model"] for row in live] == [*SMALL]
    all_runs = airflow.stack.api.get("dags", "demo", "dagRuns")["dag_runs"]
    assert [run["dag_run_id"] for run in all_runs if run["run_type"] == "scheduled"] == []
    assert airflow.stack.api.get("importErrors")["import_errors"] == []


def test_the_cluster_of_a_training_that_ended_well_is_linked_on_its_tasks(
    airflow: Airflow, runs: Runs
) -> None:
    """The wait took no worker: its links are of what ``create_cluster`` left."""
    assert airflow.end_of(runs.one_model) == "success"
    (attempt,) = airflow.rows(
        "app", "SELECT cluster_id FROM operations.attempt WHERE run_id = %(run_id)s", run_id=runs.one_model
    )
    for task_id in ("breast_cancer.create_cluster", "breast_cancer.wait_for_training"):
        place = ("dags", "demo", "dagRuns", runs.one_model, "taskInstances", task_id, "links")
        links = airflow.stack.api.get(*place)["extra_links"]
        assert links["Attempt 1: cluster"].endswith(f"#/clusterDetails/{attempt['cluster_id']}")
        assert f"prefix=logs/{attempt['cluster_id']}/" in links["Attempt 1: logs"]


def test_an_unknown_conf_key_ends_the_run_before_a_cluster_is_launched(airflow: Airflow, runs: Runs) -> None:
    assert airflow.end_of(runs.unknown_key) == "failed"
    assert "conf key 'modls' is not accepted" in airflow.log_of(runs.unknown_key, "plan")
    assert "plan failed" in airflow.log_of(runs.unknown_key, "publish")
    assert airflow.tries(runs.unknown_key, "plan") == 1
    assert not airflow.rows(
        "app", "SELECT 1 FROM operations.attempt WHERE run_id = %(run_id)s", run_id=runs.unknown_key
    )


def test_a_run_of_one_model_trains_that_one_skips_the_rest_and_publishes(
    airflow: Airflow, runs: Runs
) -> None:
    assert airflow.end_of(runs.one_model) == "success"
    tasks = airflow.tasks(runs.one_model)
    assert {task for task, state in tasks.items() if state == "success"} == {
        "plan",
        "breast_cancer.create_cluster",
        "breast_cancer.wait_for_training",
        "publish",
        "freshness",
    }
    skipped = [task for task, state in tasks.items() if state == "skipped"]
    assert len(skipped) == 2 * (len(MODELS) - 1)
    (version,) = airflow.rows(
        "app",
        "SELECT model FROM serving.model_version WHERE lineage->>'run_id' = %(run_id)s",
        run_id=runs.one_model,
    )
    assert version["model"] == "breast_cancer"
    # other DAGs can be scheduled on what went live
    events = airflow.stack.api.get("assets", "events", source_dag_id="demo", source_run_id=runs.one_model)
    assert [event["name"] for event in events["asset_events"]] == ["trainyard.demo.breast_cancer"]
    # success ends the wait in the triggerer, and the ledger knows
    (attempt,) = airflow.rows(
        "app",
        "SELECT attempt, state, outcome FROM operations.attempt WHERE run_id = %(run_id)s",
        run_id=runs.one_model,
    )
    assert tuple(attempt.values()) == (1, "ended", "succeeded")


def test_a_failed_model_leaves_its_siblings_published_and_the_run_red(airflow: Airflow, runs: Runs) -> None:
    day = airflow.newest_data_date + timedelta(days=1)
    run_id = runs.half_failed
    assert airflow.end_of(run_id) == "failed"
    tasks = airflow.tasks(run_id)
    assert tasks["original_sample.wait_for_training"] == tasks["publish"] == "success"
    assert tasks["breast_cancer.wait_for_training"] == tasks["freshness"] == "failed"
    assert tasks["flights.create_cluster"] == "failed"
    # bad data is not retried, and its rows stay in S3
    assert airflow.tries(run_id, "breast_cancer.wait_for_training") == 1
    log = airflow.log_of(run_id, "breast_cancer.wait_for_training")
    assert "malformed_input" in log
    assert "part-0, line 2" in log
    assert "0 1:x" not in log
    # it waited without a worker until it was clear that the input would not come
    log = airflow.log_of(run_id, "flights.create_cluster")
    assert "has no _SUCCESS yet" in log
    assert "input_missing: after 2 minutes" in log
    live = airflow.rows("app", "SELECT model FROM serving.live_model WHERE data_date = %(day)s", day=day)
    assert [row["model"] for row in live] == ["original_sample"]
    failures = airflow.rows(
        "analytics",
        "SELECT model, failure_code FROM analytics.failures WHERE data_date = %(day)s ORDER BY model",
        day=day,
    )
    assert [tuple(row.values()) for row in failures] == [
        ("breast_cancer", "malformed_input"),
        ("flights", "input_missing"),
    ]


def test_the_reaper_leaves_alone_what_runs_wait_for(airflow: Airflow, runs: Runs) -> None:
    """It runs while others train, or have just: none of their clusters is a stray."""
    run_id = f"test-{uuid4().hex[:8]}"
    body = {"dag_run_id": run_id, "logical_date": None, "conf": {}}
    airflow.stack.api.post("dags", "reaper", "dagRuns", body=body)

    def ended() -> str | None:
        state = airflow.stack.api.get("dags", "reaper", "dagRuns", run_id)["state"]
        return str(state) if state in {"success", "failed"} else None

    assert airflow.wait_for(ended, f"run {run_id} of the reaper to end") == "success"
    assert not airflow.rows("app", "SELECT 1 FROM operations.attempt WHERE failure_code = 'reaped'")


def test_a_run_that_publishes_nothing_still_tells_its_metrics(airflow: Airflow, runs: Runs) -> None:
    assert airflow.end_of(runs.unpublished) == "success"
    assert not airflow.rows(
        "app",
        "SELECT 1 FROM serving.model_version WHERE lineage->>'run_id' = %(run_id)s",
        run_id=runs.unpublished,
    )
    assert airflow.rows(
        "analytics",
        "SELECT 1 FROM analytics.training JOIN analytics.metric USING (training_id, attempt) "
        "WHERE run_id = %(run_id)s AND name = 'auc'",
        run_id=runs.unpublished,
    )


def test_a_backfill_of_three_days_yields_three_versions_a_model_and_none_serves(
    airflow: Airflow, runs: Runs
) -> None:
    def backfilled() -> list[Any] | None:
        all_runs = airflow.stack.api.get("dags", "demo", "dagRuns", limit=100)["dag_runs"]
        ended = [run for run in all_runs if run["run_type"] == "backfill" and run["end_date"]]
        return ended if len(ended) == 3 else None

    ended = airflow.wait_for(backfilled, "the backfill's three runs to end")
    assert {run["state"] for run in ended} == {"success"}
    versions = airflow.rows(
        "app",
        "SELECT model, data_date FROM serving.model_version WHERE data_date = ANY(%(dates)s) "
        "ORDER BY model, data_date",
        dates=runs.backfilled,
    )
    assert [tuple(row.values()) for row in versions] == [
        (model, day) for model in SMALL for day in runs.backfilled
    ]
    live = airflow.rows("app", "SELECT data_date FROM serving.live_model WHERE portfolio = 'demo'")
    assert min(row["data_date"] for row in live) == airflow.newest_data_date


def test_a_run_marked_failed_while_it_waits_leaves_no_cluster(airflow: Airflow) -> None:
    run_id = airflow.start_run(models=["hotels"])
    logs = airflow.stack.settings.logs / "tasks" / "dag_id=demo" / f"run_id={run_id}"
    waiting = "task_id=hotels.wait_for_training/*.trigger.*"
    airflow.wait_for(lambda: list(logs.glob(waiting)) or None, "the triggerer to wait for hotels")
    airflow.stack.api.patch("dags", "demo", "dagRuns", run_id, body={"state": "failed"})

    def abandoned() -> dict[str, Any] | None:
        (attempt,) = airflow.rows(
            "app",
            "SELECT cluster_id, outcome, failure_code FROM operations.attempt WHERE run_id = %(run_id)s",
            run_id=run_id,
        )
        return attempt if attempt["outcome"] else None

    attempt = wait_for(abandoned, "the attempt to be abandoned")
    assert (attempt["outcome"], attempt["failure_code"]) == ("abandoned", "task_ended")
    emr = aws_client(airflow.stack.settings, "emr")
    status = emr.describe_cluster(ClusterId=attempt["cluster_id"])["Cluster"]["Status"]
    assert status["StateChangeReason"]["Code"] == "USER_REQUEST"


NIGHTLY = """
portfolio: nightly
schedule: 0 2 * * *
start_date: 2026-11-01
owner: data-science
inputs:
  train: s3://trainyard-features/{model}/{data_date}/train/
  test: s3://trainyard-features/{model}/{data_date}/test/
output_root: s3://trainyard-output/nightly/
defaults:
  num_features: 692
  learner: {params: {regParam: 0.1}}
  cluster:
    log_uri: s3://trainyard-output/logs/
    primary: {instance_type: m7g.large}
    core: {instance_type: m7g.xlarge, count: 2}
models:
  original_sample:
"""


def test_a_new_portfolio_is_picked_up_and_runs_on_its_schedule(airflow: Airflow) -> None:
    (airflow.dags / "portfolios" / "nightly.yaml").write_text(NIGHTLY)
    shutil.copy(airflow.dags / "demo.py", airflow.dags / "nightly.py")

    def unpaused() -> bool | None:
        try:
            return bool(airflow.stack.api.patch("dags", "nightly", body={"is_paused": False}))
        except AirflowApiError as error:
            if error.status != 404:
                raise
            return None

    wait_for(unpaused, "the DAG nightly to be there")

    def ended() -> dict[str, Any] | None:
        runs = airflow.stack.api.get("dags", "nightly", "dagRuns")["dag_runs"]
        return next((run for run in runs if run["state"] in ("success", "failed")), None)

    run = airflow.wait_for(ended, "the scheduled run to end")
    assert (run["run_type"], run["state"]) == ("scheduled", "success")
    (live,) = airflow.rows("app", "SELECT data_date FROM serving.live_model WHERE portfolio = 'nightly'")
    day_of_run = parse_time(run["logical_date"]).date()
    assert live["data_date"] == day_of_run - timedelta(days=1)


# the portfolio whose question is answered leaves the time for it, the other does not let anybody wait
WITHIN = {"asking": "1 hour", "unheard": "1 minute"}


def asking(portfolio: str) -> str:
    text = NIGHTLY.replace("portfolio: nightly", f"portfolio: {portfolio}")
    text = text.replace("schedule: 0 2 * * *", "schedule: null")
    return f"{text}approval: {{within: {WITHIN[portfolio]}, unanswered: reject}}\n"


def started(airflow: Airflow, dag_id: str, run_id: str) -> str | None:
    """The run of a new DAG, once it is there."""
    conf = {"data_date": airflow.newest_data_date.isoformat()}
    body = {"dag_run_id": run_id, "logical_date": None, "conf": conf}
    try:
        airflow.stack.api.patch("dags", dag_id, body={"is_paused": False})
        return str(airflow.stack.api.post("dags", dag_id, "dagRuns", body=body)["dag_run_id"])
    except AirflowApiError as error:
        if error.status != 404:
            raise
        return None


def approve(airflow: Airflow, question: tuple[str, ...]) -> None:
    """Approve as a person would, who reads first and answers again where the question comes again.

    An answer that comes before the scheduler has seen the asking worker's end makes Airflow count the task as lost.
    """
    time.sleep(20)
    body = {"chosen_options": ["Approve"], "params_input": {"hold_back": []}}
    with suppress(AirflowApiError):
        airflow.stack.api.patch(*question, body=body)


def test_a_person_is_asked_and_the_answer_or_its_lack_comes_to_publish(airflow: Airflow) -> None:
    for portfolio in WITHIN:
        (airflow.dags / "portfolios" / f"{portfolio}.yaml").write_text(asking(portfolio))
        shutil.copy(airflow.dags / "demo.py", airflow.dags / f"{portfolio}.py")
    api = airflow.stack.api

    def question(run_id: str) -> dict[str, Any] | None:
        try:
            return api.get(*place(run_id))
        except AirflowApiError as error:
            if error.status != 404:
                raise
            return None

    def place(run_id: str) -> tuple[str, ...]:
        return ("dags", "asking", "dagRuns", run_id, "taskInstances", "approve", "-1", "hitlDetails")

    def ended(run_id: str, dag_id: str = "asking") -> str | None:
        state = str(api.get("dags", dag_id, "dagRuns", run_id)["state"])
        return state if state in ("success", "failed") else None

    def states(run_id: str, dag_id: str = "asking") -> dict[str, str | None]:
        tasks = api.get("dags", dag_id, "dagRuns", run_id, "taskInstances")["task_instances"]
        return {task["task_id"]: task["state"] for task in tasks}

    approved = wait_for(lambda: started(airflow, "asking", "approved"), "the DAG asking to be there")
    unanswered = wait_for(lambda: started(airflow, "unheard", "unanswered"), "the DAG unheard to be there")
    asked = airflow.wait_for(lambda: question(approved), "the question")
    assert "| original_sample | live, if approved |" in asked["body"]
    assert not airflow.rows("app", "SELECT 1 FROM serving.model_version WHERE portfolio = 'asking'")

    end = airflow.wait_for(
        lambda: approve(airflow, place(approved)) or ended(approved), "the approved run to end"
    )
    assert end == "success"
    (activation,) = airflow.rows(
        "app", "SELECT model, reason FROM serving.activation WHERE portfolio = 'asking'"
    )
    assert activation["model"] == "original_sample"
    assert activation["reason"].startswith("the first version; approved by admin")

    # the next challenger is measured beside that one on the same rows; fifty are too few, and nobody is asked
    again = wait_for(lambda: started(airflow, "asking", "again"), "the next run")
    assert airflow.wait_for(lambda: ended(again), "the next run to end") == "success"
    assert states(again)["approve"] == "skipped"
    (decision,) = airflow.rows(
        "app",
        "SELECT outcome, report->'compared'->'champion' AS champion FROM serving.decision "
        "JOIN serving.model_version USING (version_id) WHERE lineage->>'run_id' = 'again'",
    )
    assert decision["outcome"] == "inconclusive"
    assert decision["champion"]["log_loss"] == pytest.approx(decision["champion"]["old_log_loss"])

    # nobody answers: what counts as the answer is published, and the run is red
    end = airflow.wait_for(lambda: ended(unanswered, "unheard"), "the unanswered run to end")
    assert end == "failed"
    ended_as = states(unanswered, "unheard")
    assert (ended_as["approve"], ended_as["publish"], ended_as["freshness"]) == (
        "success",
        "success",
        "failed",
    )
    (decision,) = airflow.rows(
        "app",
        "SELECT outcome, code, report->'approval' AS approval FROM serving.decision JOIN serving.model_version "
        "USING (version_id) WHERE portfolio = 'unheard'",
    )
    assert (decision["outcome"], decision["code"], decision["approval"]["by"]) == (
        "held_back",
        "unanswered",
        None,
    )


def test_a_broken_portfolio_breaks_its_own_dag_only(airflow: Airflow) -> None:
    broken = (
        (airflow.dags / "portfolios" / "demo.yaml").read_text().replace("portfolio: demo", "portfolio: other")
    )
    (airflow.dags / "portfolios" / "other.yaml").write_text(
        broken.replace("num_features: 30", "num_feature: 30")
    )
    shutil.copy(airflow.dags / "demo.py", airflow.dags / "other.py")
    begun = datetime.now(timezone.utc)

    def import_error() -> str | None:
        errors = airflow.stack.api.get("importErrors")["import_errors"]
        return next(
            (error["stack_trace"] for error in errors if error["filename"].endswith("other.py")), None
        )

    assert "model breast_cancer, num_feature: " in wait_for(import_error, "the import error of other.py")
    assert wait_for(lambda: parsed_dag(airflow.stack.api, since=begun), "demo to be parsed again")
    (airflow.dags / "other.py").unlink()


def test_the_rollback_dag_takes_a_model_back_in_the_name_of_who_asked(airflow: Airflow) -> None:
    """The last test, since it changes what serves."""
    query = (
        "SELECT version_id, actor, replaced_version_id FROM serving.live_model "
        "WHERE portfolio = 'demo' AND model = 'original_sample'"
    )
    (before,) = airflow.rows("app", query)
    conf = {"model": "demo.original_sample", "version": before["replaced_version_id"], "reason": "worse"}
    api = airflow.stack.api
    for number, changed in enumerate((conf, {"action": "unpin", "model": conf["model"], "reason": "mended"})):
        body = {"dag_run_id": f"back-{number}", "logical_date": None, "conf": changed}
        api.post("dags", "rollback", "dagRuns", body=body)
        wait_for(
            lambda run_id=body["dag_run_id"]: (
                api.get("dags", "rollback", "dagRuns", run_id)["state"] == "success" or None
            ),
            f"run {body['dag_run_id']} of rollback to succeed",
        )
    (after,) = airflow.rows("app", query)
    assert after["version_id"] == before["replaced_version_id"]
    assert after["actor"] == "admin, run back-0 of DAG rollback"
