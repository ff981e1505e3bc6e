"""A request is taken exactly, or refused by a sentence that names the field."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from training_job.failures import CODES, JobError
from training_job.request import parse_request


@pytest.fixture
def document(requests: Any, rows: Path) -> dict[str, Any]:
    made: dict[str, Any] = requests.document([rows], [rows], num_features=3, params={"regParam": 0.1})
    return made


def refusal(document: object) -> str:
    with pytest.raises(JobError) as caught:
        parse_request(json.dumps(document).encode())
    assert caught.value.code == "bad_request"
    return caught.value.sentence


def test_request_comes_in_whole(document: dict[str, Any], rows: Path, requests: Any) -> None:
    request = parse_request(json.dumps(document).encode())
    assert request.training.training_id == "0123456789abcdef"
    assert request.inputs.train[0].uri == requests.uri(rows)
    assert request.inputs.train[0].size == rows.stat().st_size
    assert request.inputs.validation is None
    assert request.threshold == {"rule": "fixed", "value": 0.5}
    assert request.deadline == datetime(2100, 1, 1, tzinfo=timezone.utc)
    assert request.output.endswith("/attempt-1/")


def leave_out(document: Any, *path: Any) -> None:
    for step in path[:-1]:
        document = document[step]
    del document[path[-1]]


@pytest.mark.parametrize(
    "path",
    [
        ("format_version",),
        ("training",),
        ("training", "attempt"),
        ("inputs", "validation"),
        ("inputs", "train", 0, "size"),
        ("num_features",),
        ("label_mapping",),
        ("learner", "params"),
        ("threshold", "value"),
        ("imbalance", "class_weights"),
        ("calibration",),
        ("deadline",),
        ("lineage",),
        ("champion",),
        ("evaluation",),
    ],
    ids=str,
)
def test_missing_field_is_named(document: dict[str, Any], path: tuple[Any, ...]) -> None:
    leave_out(document, *path)
    sentence = refusal(document)
    assert str(path[-1]) in sentence
    assert "is missing" in sentence


def put(*path: Any, value: Any) -> Callable[[Any], None]:
    def change(document: Any) -> None:
        for step in path[:-1]:
            document = document[step]
        document[path[-1]] = value

    return change


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (put("format_version", value=1), "format_version is 1; expected 2"),
        (put("num_features", value=0), "num_features is 0; expected a whole number above 0"),
        (put("num_features", value=True), "num_features is True"),
        (put("label_mapping", value={"0": 0}), "a label for class 0 and a label for class 1"),
        (put("label_mapping", value={"0": 0, "1": 2}), "label_mapping.1 is 2; expected 0 or 1"),
        (put("label_mapping", value={"no": 0, "1": 1}), "different numbers"),
        (put("label_mapping", value={"0": 0, "1": 1, "1.0": 1}), "different numbers"),
        (
            put("threshold", "rule", value="best_f1"),
            "threshold.rule is 'best_f1'; expected fixed or best_f_beta",
        ),
        (
            put("threshold", value={"rule": "best_f_beta", "beta": 0}),
            "threshold.beta is 0.0; expected a number",
        ),
        (put("threshold", value={"rule": "highest_recall"}), "threshold.min_precision is missing"),
        (put("threshold", "beta", value=1), "threshold.beta is not a field"),
        (put("imbalance", "negatives_kept", value=0), "negatives_kept is 0.0; expected a share"),
        (put("imbalance", "class_weights", value="even"), "class_weights is 'even'; expected 'balanced'"),
        (put("imbalance", "class_weights", value={"0": 1, "1": 0}), "class_weights.1 is 0.0"),
        (put("calibration", value="beta"), "calibration is 'beta'; expected none or platt or isotonic"),
        (put("calibration", value="platt"), "expected none: there is no validation split"),
        (put("deadline", value="2026-11-23"), "with its offset"),
        (put("deadline", value="soon"), "with its offset"),
        (put("inputs", "train", value=None), "inputs.train is None"),
        (put("inputs", "test", value=None), "inputs.test is None; expected either a list of objects"),
        (put("inputs", "format", value="csv"), "inputs.format is 'csv'; expected libsvm or parquet"),
        (put("inputs", "max_bad_lines", value=-1), "inputs.max_bad_lines is -1"),
        (put("inputs", "negatives_kept", value={"test": 0}), "negatives_kept.test is 0.0; expected a rate"),
        (
            lambda document: document["inputs"].update(
                test=None,
                split={"test": 0.2, "validation": None, "seed": 0},
                negatives_kept={"train": 0.1, "test": 1},
            ),
            "negatives_kept.test is 1.0; expected train's rate, 0.1, or none: it is cut from train",
        ),
        (
            put("threshold", value={"rule": "best_f_beta", "beta": 1}),
            "threshold.rule is 'best_f_beta'; expected fixed: there is no validation split to choose on",
        ),
        (put("inputs", "negatives_kept", value={"tests": 1}), "inputs.negatives_kept.tests is not a field"),
        (
            put("inputs", "split", value={"test": 0.2, "validation": None, "seed": 0}),
            "inputs.test is '1 objects'",
        ),
        (
            put("inputs", "split", value={"test": None, "validation": 0.0, "seed": 0}),
            "inputs.split.validation is 0.0; expected a share above 0 and below 1",
        ),
        (
            put("inputs", "split", value={"test": 0.5, "validation": 0.5, "seed": 0}),
            "shares that leave rows to train",
        ),
        (put("inputs", "split", value={"test": 0.5, "seed": 0}), "inputs.split.validation is missing"),
        (put("inputs", "train", 0, "uri", value="s3://b/_SUCCESS"), "Spark skips names"),
        (put("inputs", "train", 0, "size", value="12"), "inputs.train[0].size is '12'"),
        (put("champion", value={"model": "x"}), "champion.version_id is missing"),
        (put("group_key", value="user"), "group_key is 'user'; expected 'qid' or null"),
        (put("evaluation", value={"bootstrap": 10}), "evaluation is"),
        (put("learners", value={}), "learners is not a field of format version 2"),
        (put("training", "owner", value="me"), "training.owner is not a field"),
    ],
)
def test_bad_value_is_refused_with_what_would_do(
    document: dict[str, Any], change: Callable[[Any], None], expected: str
) -> None:
    change(document)
    assert expected in refusal(document)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff"])
def test_what_is_no_json_object_is_refused(content: bytes) -> None:
    with pytest.raises(JobError, match="bad_request"):
        parse_request(content)


def test_docs_tell_every_failure_code() -> None:
    docs = (Path(__file__).parents[2] / "docs" / "training-folder.md").read_text(encoding="utf-8")
    table = docs.partition("<!-- codes -->")[2].partition("<!-- /codes -->")[0]
    rows = [line.split(" | ") for line in table.splitlines() if line.startswith("| `")]
    assert {row[0].strip("| `"): row[1] for row in rows} == CODES
