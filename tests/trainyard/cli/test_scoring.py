"""``trainyard score`` and ``trainyard threshold``, from files and from what serves."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import boto3
import numpy as np
import pytest
from click.testing import Result
from sqlalchemy import text
from typer.testing import CliRunner

from trainyard.cli import app
from trainyard.databases import engine, upgrade_app_db

ARTIFACT = {
    "format_version": 2,
    "kind": "logistic_regression",
    "score_kind": "probability",
    "num_features": 3,
    "feature_space": "hotels-v1",
    "parameters": {"intercept": 0.0, "coefficients": {"indices": [0], "values": [1.0]}},
    "correction": {"odds_factor": 0.5},
    "calibration": None,
    "threshold": 0.6,
}
THRESHOLDS = {
    "format_version": 2,
    "split": "validation",
    "score_kind": "probability",
    "correction": None,
    "calibration": None,
    "exact": True,
    "max_error_rows": 0,
    "scores": [0.8, 0.6, 0.2],
    "below": [0.6, 0.2, None],
    "true_positives": [2, 3, 4],
    "false_positives": [0, 1, 6],
    "positives": 4,
    "negatives": 6,
}
Run = Callable[..., Result]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TRAINYARD_APP_DB_URL", raising=False)

    def invoke(*words: str | Path, rows: str = "") -> Result:
        result = CliRunner().invoke(app, [str(word) for word in words], input=rows)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result

    return invoke


@pytest.fixture
def artifact(tmp_path: Path) -> Path:
    path = tmp_path / "artifact.json"
    path.write_text(json.dumps(ARTIFACT))
    return path


@pytest.fixture
def thresholds(tmp_path: Path) -> Path:
    path = tmp_path / "thresholds.json"
    path.write_text(json.dumps(THRESHOLDS))
    return path


def test_rows_are_scored_line_by_line(run: Run, artifact: Path) -> None:
    result = run("score", "--artifact", artifact, rows="1 1:1\n\n0 1:-1 2:5\n3:1\n")
    assert result.exit_code == 0, result.output
    head, *lines = [line.split("\t") for line in result.stdout.splitlines()]
    assert head == ["score", "probability", "decision"]
    scores = 1 / (1 + np.exp(-np.array([1.0, -1.0, 0.0])))
    assert [float(score) for score, _, _ in lines] == pytest.approx(scores)
    assert [float(probability) for _, probability, _ in lines] == pytest.approx(scores / (2 - scores))
    assert [decision for _, _, decision in lines] == ["1", "0", "0"]


def test_a_margin_leaves_the_probability_empty(run: Run, tmp_path: Path) -> None:
    margin = ARTIFACT | {"kind": "linear_svc", "score_kind": "margin", "correction": None, "threshold": -2.0}
    path = tmp_path / "margin.json.gz"
    path.write_bytes(gzip.compress(json.dumps(margin).encode()))
    assert run("score", "--artifact", path, rows="1:-1.5\n").stdout.splitlines()[1] == "-1.5\t\t1"


@pytest.mark.parametrize(
    ("words", "rows", "expected"),
    [
        ((), "1 1:1\n1 4:1\n", "line 2: index 4; the model has 3 features"),
        (("--feature-space", "hotels-v2"), "", "rows of the feature space 'hotels-v2'"),
    ],
)
def test_rows_that_are_not_the_models_end_with_a_sentence(
    run: Run, artifact: Path, words: tuple[str, ...], rows: str, expected: str
) -> None:
    result = run("score", "--artifact", artifact, *words, rows=rows)
    assert result.exit_code == 1
    assert expected in result.stderr


def test_a_rule_is_answered_from_a_file(run: Run, thresholds: Path) -> None:
    result = run(
        "threshold", "--file", thresholds, "--rule", "highest_recall", "--set", "min_precision=0.7", "--json"
    )
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert (found["threshold"], found["feasible"]) == (pytest.approx(0.4), True)
    assert (found["achieved"]["precision"], found["achieved"]["recall"]) == (0.75, 0.75)
    words = run(
        "threshold", "--file", thresholds, "--rule", "fixed", "--set", "value=0.7"
    ).stdout.splitlines()
    assert words[:2] == ["threshold 0.7", "true positives 2"]


def test_what_nothing_satisfies_is_shown_and_exits_with_1(run: Run, thresholds: Path) -> None:
    result = run(
        "threshold", "--file", thresholds, "--rule", "limited_positive_rate", "--set", "max_positive_rate=0.1"
    )
    assert result.exit_code == 1
    assert "threshold 0.7" in result.stdout
    assert "no threshold decides for at most 0.1 of the rows; the fewest are 0.2" in result.stderr


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("best",), "--rule best: no such rule; there are fixed, best_f_beta"),
        (("highest_recall",), "--set min_precision=…: is missing"),
        (("highest_recall", "--set", "beta=1"), "--set min_precision=…: is missing"),
        (("best_f_beta", "--set", "precision=1"), "--set precision=…: is no part of the rule best_f_beta"),
        (("best_f_beta", "--set", "beta=0"), "--set beta=…: Input should be greater than 0"),
        (("best_f_beta", "--set", "beta"), "--set beta: expected a name and a number"),
        (
            ("fixed", "--set", "margin=1"),
            "--set margin=…: give value, since this model's scores become probabilities",
        ),
    ],
)
def test_a_mistaken_rule_is_told(run: Run, thresholds: Path, words: tuple[str, ...], expected: str) -> None:
    result = run("threshold", "--file", thresholds, "--rule", *words)
    assert result.exit_code == 2
    assert expected in result.stderr


def test_neither_or_both_of_model_and_file_is_told(run: Run, artifact: Path) -> None:
    for words in ((), ("hotels", "--artifact", artifact)):
        result = run("score", *words)
        assert result.exit_code == 2
        assert "name a model, or give --artifact; not both" in result.stderr


@pytest.mark.parametrize(
    "changed", [{"scores": [0.2, 0.6, 0.8]}, {"below": []}, {"format_version": 1}, {"positives": None}]
)
def test_a_file_that_is_no_thresholds_is_told(run: Run, thresholds: Path, changed: dict[str, object]) -> None:
    thresholds.write_text(json.dumps(THRESHOLDS | changed))
    result = run("threshold", "--file", thresholds, "--rule", "best_f_beta")
    assert result.exit_code == 1
    assert "thresholds.json" in result.stderr


@pytest.fixture
def serving(database_url: str, local_aws_url: str, monkeypatch: pytest.MonkeyPatch, run: Run) -> str:
    """What serves is a version whose training folder lies in S3; returns the bucket."""
    database, bucket = engine(database_url), "cli-scoring"
    upgrade_app_db(database)
    folder = f"s3://{bucket}/attempt-1/"
    with database.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO operations.attempt (training_id, attempt, deployment, portfolio, model, data_date, dag_id,"
                " run_id, output_uri, aws_conn_id, cluster_name, state)"
                " VALUES ('0123456789abcdef', 1, 'd', 'demo', 'hotels', '2026-11-22', 'demo', 'r', :folder,"
                " 'aws_default', 'c', 'intended')"
            ),
            {"folder": folder},
        )
        version = connection.execute(
            text(
                "INSERT INTO serving.model_version (portfolio, model, data_date, training_id, attempt, artifact,"
                " artifact_sha256, feature_space, num_features, threshold, lineage)"
                " VALUES ('demo', 'hotels', '2026-11-22', '0123456789abcdef', 1, :artifact, repeat('a', 64),"
                " 'hotels-v1', 3, 0.6, '{}') RETURNING version_id"
            ),
            {"artifact": gzip.compress(json.dumps(ARTIFACT).encode())},
        ).scalar_one()
        connection.execute(
            text(
                "INSERT INTO serving.activation (version_id, portfolio, model, actor, reason)"
                " VALUES (:version, 'demo', 'hotels', 'r', 'first')"
            ),
            {"version": version},
        )
    database.dispose()
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": "eu-west-1"}
    s3 = boto3.client("s3", endpoint_url=local_aws_url, **keys)
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    s3.put_object(Bucket=bucket, Key="attempt-1/thresholds.json", Body=json.dumps(THRESHOLDS).encode())
    monkeypatch.setenv("TRAINYARD_APP_DB_URL", database_url)
    extra = {"endpoint_url": local_aws_url, "region_name": "eu-west-1"}
    connection = {"conn_type": "aws", "login": "test", "password": "test", "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps(connection))
    return bucket


def test_what_serves_scores_and_answers(run: Run, serving: str) -> None:
    scored = run("score", "hotels", rows="1:1\n")
    assert scored.exit_code == 0, scored.output
    assert scored.stdout.splitlines()[1].endswith("\t1")
    chosen = run("threshold", "hotels", "--rule", "best_f_beta", "--json")
    assert chosen.exit_code == 0, chosen.output
    assert json.loads(chosen.stdout)["achieved"]["recall"] == 0.75
    absent = run("score", "flights", "--portfolio", "demo")
    assert (absent.exit_code, "no model flights of portfolio demo serves" in absent.stderr) == (1, True)
