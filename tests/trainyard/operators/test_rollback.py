"""The DAG ``rollback``: the same as the command line, under Airflow's log and permissions."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, ParamValidationError
from sqlalchemy import Engine, text

from trainyard import databases
from trainyard.dag_factory import rollback_dag
from trainyard.operators import Rollback

ROOT = Path(__file__).parents[3]


@pytest.fixture
def app(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Engine:
    monkeypatch.setenv("AIRFLOW_CONN_APP_DB", database_url)
    app = databases.engine(database_url)
    databases.upgrade_app_db(app)
    version = (
        "INSERT INTO serving.model_version (portfolio, model, data_date, training_id, attempt, artifact,"
        " artifact_sha256, feature_space, num_features, threshold, lineage) VALUES ('demo', 'hotels', '2026-11-20',"
        " repeat(:letter, 16), 1, '\\x00', repeat('a', 64), 'v1', 7, 0.5, '{}')"
    )
    with app.begin() as connection:
        for letter in "ab":
            connection.execute(text(version), {"letter": letter})
        for number, replaced in ((1, None), (2, 1)):
            connection.execute(
                text(
                    "INSERT INTO serving.activation (version_id, portfolio, model, actor, reason, replaced_version_id)"
                    " VALUES (:number, 'demo', 'hotels', 'a run', 'newer', :replaced)"
                ),
                {"number": number, "replaced": replaced},
            )
    return app


def execute(user: str | None = "ada", **conf: Any) -> dict[str, Any]:
    dag = rollback_dag()
    task = dag.get_task("rollback")
    assert isinstance(task, Rollback)
    params = {"action": "rollback", "version": None, **conf}
    run = SimpleNamespace(dag_id="rollback", run_id="manual__1", conf=conf, triggering_user_name=user)
    return task.execute({"dag_run": run, "params": params})


def served(app: Engine) -> tuple[int, str]:
    with app.connect() as connection:
        row = connection.execute(text("SELECT version_id, actor FROM serving.live_model")).one()
    return row.version_id, row.actor


def test_the_log_names_the_user_and_the_run_and_a_retry_goes_back_once(app: Engine) -> None:
    told = execute(model="hotels", reason="calls too often")
    assert told == {"model": "demo.hotels", "version_id": 1, "replaced_version_id": 2, "pinned": True}
    assert served(app) == (1, "ada, run manual__1 of DAG rollback")
    assert execute(model="hotels", reason="calls too often") == told
    assert execute(user=None, action="unpin", model="demo.hotels", reason="mended")["pinned"] is False


def test_a_model_of_which_nothing_serves_yet_goes_live_by_a_persons_word(app: Engine) -> None:
    first = (
        "INSERT INTO serving.model_version (portfolio, model, data_date, training_id, attempt, artifact,"
        " artifact_sha256, feature_space, num_features, threshold, lineage) VALUES ('demo', 'flights', '2026-11-20',"
        " repeat('f', 16), 1, '\\x00', repeat('a', 64), 'v1', 7, 0.5, '{}')"
    )
    with app.begin() as connection:
        connection.execute(text(first))
    told = execute(model="flights", version=3, reason="good enough")
    assert told == {"model": "demo.flights", "version_id": 3, "replaced_version_id": None, "pinned": True}
    assert execute(model="flights", version=3, reason="good enough") == told
    with app.connect() as connection:
        assert connection.execute(
            text("SELECT version_id FROM serving.live_model WHERE model = 'flights'")
        ).all() == [(3,)]


@pytest.mark.parametrize(
    ("conf", "sentence"),
    [
        ({"model": "hotel"}, "model hotel has no version; nearest: hotels"),
        ({"model": "hotels", "action": "pin", "version": 1}, "pin takes no version"),
        ({"model": "hotels", "to": 1}, "unknown parameters to; accepted"),
    ],
)
def test_a_mistake_fails_the_run_for_good_with_one_sentence(
    app: Engine, conf: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(AirflowFailException, match=sentence):
        execute(reason="why not", **conf)
    assert served(app)[0] == 2


@pytest.mark.parametrize(
    ("name", "value"), [("model", "Hotels; DROP"), ("reason", ""), ("action", "delete"), ("version", "one")]
)
def test_airflow_itself_refuses_what_the_parameters_do_not_allow(name: str, value: Any) -> None:
    with pytest.raises(ParamValidationError):
        rollback_dag().params.get_param(name).resolve(value)


def test_the_dag_file_holds_three_lines_and_the_dag_can_be_run_at_once() -> None:
    lines = [line for line in (ROOT / "dags" / "rollback.py").read_text().splitlines() if line]
    assert len(lines) == 3
    dag = rollback_dag()
    assert (dag.dag_id, dag.schedule, dag.is_paused_upon_creation) == ("rollback", None, False)
