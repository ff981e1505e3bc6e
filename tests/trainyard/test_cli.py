"""The console script: what it prints, to where, and its exit codes. A person's mistake never shows a traceback."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

import pytest
from click.testing import Result
from sqlalchemy import Engine, text
from typer.testing import CliRunner

from trainyard.cli import app
from trainyard.databases import engine, upgrade_app_db

REPOSITORY = Path(__file__).parents[2]
GOLDEN = REPOSITORY / "tests" / "golden" / "portfolio"
DEMO = REPOSITORY / "dags" / "portfolios" / "demo.yaml"

Run = Callable[..., Result]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    monkeypatch.chdir(tmp_path)
    # a database of the person who runs the tests is none of ours
    monkeypatch.delenv("TRAINYARD_APP_DB_URL", raising=False)

    def invoke(*words: str | Path) -> Result:
        result = CliRunner().invoke(app, [str(word) for word in words])
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result

    return invoke


@pytest.fixture
def app_db(database_url: str, monkeypatch: pytest.MonkeyPatch, run: Run) -> Iterator[Engine]:
    """An application database with our tables, and the environment that points the CLI at it."""
    database = engine(database_url)
    upgrade_app_db(database)
    monkeypatch.setenv("TRAINYARD_APP_DB_URL", database_url)
    yield database
    database.dispose()


def _record(app_db: Engine, *, model: str, data_date: str, training_id: str, activate: bool = True) -> None:
    with app_db.begin() as connection:
        version = connection.execute(
            text(
                "INSERT INTO serving.model_version (portfolio, model, data_date, training_id, attempt, artifact,"
                " artifact_sha256, feature_space, num_features, threshold, lineage)"
                " VALUES ('demo', :model, :data_date, :training_id, 1, '\\x00', repeat('a', 64), 'v1', 7, 0.5, '{}')"
                " RETURNING version_id"
            ),
            {"model": model, "data_date": data_date, "training_id": training_id},
        ).scalar_one()
        outcome = "activated" if activate else "recorded"
        connection.execute(
            text(
                "INSERT INTO serving.decision (version_id, outcome, code, sentence)"
                " VALUES (:version, :outcome, 'first_version', 'so it is')"
            ),
            {"version": version, "outcome": outcome},
        )
        if activate:
            connection.execute(
                text(
                    "INSERT INTO serving.activation (version_id, portfolio, model, actor, reason)"
                    " VALUES (:version, 'demo', :model, 'run r1 of DAG demo', 'the first version')"
                ),
                {"version": version, "model": model},
            )


def test_the_console_script_validates_the_repositorys_portfolios():
    script = Path(sys.executable).with_name("trainyard")
    if not script.exists():
        pytest.skip("trainyard is not installed here, only what it needs")
    done = subprocess.run([script, "validate"], capture_output=True, text=True, cwd=REPOSITORY, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "dags/portfolios/demo.yaml: 4 models\n", "")


def test_a_file_that_is_named_is_validated(run):
    result = run("validate", DEMO)
    assert (result.exit_code, result.stdout) == (0, f"{DEMO}: 4 models\n")


def test_every_mistake_of_every_file_is_told_at_once(run, tmp_path):
    portfolios = tmp_path / "dags" / "portfolios"
    portfolios.mkdir(parents=True)
    shutil.copy(GOLDEN / "broken.yaml", portfolios / "broken.yaml")
    shutil.copy(DEMO, portfolios / "demo.yaml")
    (portfolios / "empty.yaml").touch()
    result = run("validate")
    assert result.exit_code == 1
    assert result.stdout == "dags/portfolios/demo.yaml: 4 models\n"
    golden = (GOLDEN / "broken.txt").read_text(encoding="utf-8").splitlines()
    told = result.stderr.splitlines()
    assert told[:-1] == [f"dags/portfolios/{line}" for line in golden]
    assert told[-1].startswith("dags/portfolios/empty.yaml:1: portfolio: is empty")


def test_another_folder_can_be_named(run):
    result = run("validate", "--folder", REPOSITORY)
    assert (result.exit_code, result.stdout) == (0, f"{DEMO}: 4 models\n")


def test_a_folder_without_portfolios_is_no_success(run):
    result = run("validate")
    assert result.exit_code == 2
    assert result.stderr == (
        "trainyard: no portfolio: dags/portfolios holds no .yaml file; name files, or give --folder\n"
    )


def test_a_missing_file_is_told(run):
    result = run("validate", "absent.yaml")
    assert result.exit_code == 1
    assert result.stderr.startswith("absent.yaml: portfolio: cannot be read: No such file or directory")


def test_a_model_s_request_is_shown_as_emr_would_get_it(run):
    result = run("validate", DEMO, "--show", "hotels", "--deployment", "laptop")
    request = json.loads(result.stdout)
    assert request["Name"].startswith("trainyard-laptop-demo-hotels-")
    assert request["Instances"]["InstanceGroups"][1]["InstanceType"] == "m7g.xlarge"
    (step,) = request["Steps"]
    assert step["HadoopJarStep"]["Args"][:4] == [
        "spark-submit",
        "--deploy-mode",
        "cluster",
        "--conf",
    ]


def test_an_unknown_model_to_show_is_told_with_the_known_ones(run):
    result = run("validate", DEMO, "--show", "hotel")
    assert result.exit_code == 1
    assert "no model 'hotel'; there are breast_cancer, flights, hotels" in result.stderr


def test_what_emr_would_refuse_is_told_as_well(run, tmp_path):
    file = tmp_path / "demo.yaml"
    file.write_text(
        DEMO.read_text().replace("release: emr", "job_flow_role: " + "x" * 10_281 + "\n    release: emr")
    )
    result = run("validate", file)
    assert result.exit_code == 1
    assert "model hotels: JobFlowRole: " in result.stderr
    assert "at most 10280 are accepted" in result.stderr


def test_validating_loads_neither_airflow_nor_sqlalchemy():
    code = (
        "import sys; from typer.testing import CliRunner; from trainyard.cli import app;"
        f"assert CliRunner().invoke(app, ['validate', {str(DEMO)!r}]).exit_code == 0;"
        "loaded = {name.partition('.')[0] for name in sys.modules};"
        "print(sorted(loaded & {'airflow', 'sqlalchemy', 'alembic', 'boto3'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_the_schema_is_written_where_editors_look(run, tmp_path):
    (tmp_path / "dags" / "portfolios").mkdir(parents=True)
    assert run("schema").exit_code == 0
    written = tmp_path / "dags" / "portfolios" / "portfolio.schema.json"
    assert written.read_text(encoding="utf-8") == run("schema", "--output", "-").stdout


def test_the_schema_cannot_be_written_into_a_folder_that_is_not_there(run):
    result = run("schema")
    assert result.exit_code == 2
    assert result.stderr.startswith(
        "trainyard: cannot write dags/portfolios/portfolio.schema.json: No such file"
    )
    assert result.stderr.count("\n") == 1


def test_live_models_are_shown_as_a_table_and_as_json(run, app_db):
    _record(app_db, model="hotels", data_date="2026-11-21", training_id="a" * 16)
    _record(app_db, model="flights", data_date="2026-11-22", training_id="b" * 16)
    table = run("models").stdout
    assert [line.split()[1] for line in table.splitlines() if " demo " in f" {line} "] == [
        "flights",
        "hotels",
    ]
    shown = json.loads(run("models", "--json").stdout)
    assert [(row["model"], row["data_date"], row["threshold"]) for row in shown] == [
        ("flights", "2026-11-22", 0.5),
        ("hotels", "2026-11-21", 0.5),
    ]
    assert datetime.fromisoformat(shown[0]["activated_at"]).utcoffset() is not None
    assert json.loads(run("models", "--json", "--portfolio", "other").stdout) == []


def test_no_live_model_is_told_in_words_and_as_an_empty_list(run, app_db):
    assert run("models").stdout.startswith("no model serves yet: ")
    assert run("models", "--json").stdout == "[]\n"


def test_a_models_history_is_shown_newest_first(run, app_db):
    _record(app_db, model="hotels", data_date="2026-11-21", training_id="a" * 16)
    _record(app_db, model="hotels", data_date="2026-11-20", training_id="c" * 16, activate=False)
    shown = json.loads(run("history", "hotels", "--json").stdout)
    assert [(row["data_date"], row["live"]) for row in shown] == [("2026-11-20", False), ("2026-11-21", True)]
    table = run("history", "hotels", "--portfolio", "demo").stdout
    assert table.index("c" * 16) < table.index("a" * 16)
    assert "run r1 of DAG demo" in table


def test_an_unknown_model_names_the_nearest(run, app_db):
    _record(app_db, model="hotels", data_date="2026-11-21", training_id="a" * 16)
    result = run("history", "hotel")
    assert (result.exit_code, result.stderr) == (
        1,
        "trainyard: model hotel has no version; nearest: hotels\n",
    )
    result = run("history", "hotels", "--portfolio", "other")
    assert (result.exit_code, result.stderr) == (
        1,
        "trainyard: model hotels has no version in portfolio other\n",
    )


@pytest.mark.parametrize("command", [["models"], ["history", "hotels"]])
@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("mysql://reader:secret-word@db/app", "the database URL starts with 'mysql'"),
        ("nonsense", "the database URL is malformed"),
        (
            "postgresql://reader:secret-word@127.0.0.1:1/app",
            "the application database does not answer: connection",
        ),
    ],
)
def test_a_database_that_is_not_there_is_one_sentence_without_the_password(
    run, monkeypatch, command, url, told
):
    monkeypatch.setenv("TRAINYARD_APP_DB_URL", url)
    result = run(*command)
    assert result.exit_code == 2
    assert result.stderr.startswith(f"trainyard: {told}")
    assert result.stderr.count("\n") == 1
    assert "secret-word" not in result.stderr


def test_a_database_without_our_tables_says_what_makes_them(run, database_url, monkeypatch):
    monkeypatch.setenv("TRAINYARD_APP_DB_URL", database_url)
    result = run("models")
    assert result.exit_code == 2
    assert 'relation "serving.served_model" does not exist' in result.stderr
    assert "first run makes its tables" in result.stderr


def test_no_database_at_all_names_the_variable_that_would_point_at_one(tmp_path):
    """In a process of its own, since this asks Airflow, which then keeps its configuration."""
    environment = {name: value for name, value in os.environ.items() if name != "TRAINYARD_APP_DB_URL"}
    done = subprocess.run(
        [sys.executable, "-m", "trainyard.cli", "models"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=environment | {"AIRFLOW_HOME": str(tmp_path)},
        check=False,
    )
    assert done.returncode == 2
    assert "TRAINYARD_APP_DB_URL is not set" in done.stderr
    assert "Traceback" not in done.stderr
