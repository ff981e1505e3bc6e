"""Rows are scored by an artifact alone; other rows than the model's are refused, and what could not score."""

from __future__ import annotations

import ast
import gzip
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainyard.scoring import ArtifactError, Rows, RowsError, dense_rows, libsvm_rows, read_artifact, trees

SCORING = Path(__file__).parents[3] / "plugins" / "trainyard" / "scoring"
LINEAR = {"intercept": -1.0, "coefficients": {"indices": [0, 2], "values": [2.0, -0.5]}}
# if feature 1 is at most 0.5, then 0.2; else if feature 0 is at most 2, then 0.6, else 0.9. And a tree of one leaf
TREES = {
    "roots": [0, 5],
    "features": [1, -1, 0, -1, -1, -1],
    "thresholds": [0.5, 0, 2.0, 0, 0, 0],
    "lefts": [1, -1, 3, -1, -1, -1],
    "rights": [2, -1, 4, -1, -1, -1],
    "values": [0, 0.2, 0, 0.6, 0.9, 0.1],
}


def document(kind: str = "logistic_regression", **changed: Any) -> dict[str, Any]:
    return {
        "format_version": 2,
        "kind": kind,
        "score_kind": "margin" if kind == "linear_svc" else "probability",
        "num_features": 3,
        "feature_space": "hotels-v1",
        "parameters": {
            "random_forest": {"trees": TREES},
            "gradient_boosted_trees": {"trees": TREES, "weights": [1.0, -2.0]},
        }.get(kind, LINEAR),
        "correction": None,
        "calibration": None,
        "threshold": 0.5,
        "label_names": {"0": "0", "1": "1"},
        "lineage": {},
    } | changed


def encoded(kind: str = "logistic_regression", **changed: Any) -> bytes:
    return json.dumps(document(kind, **changed)).encode()


def test_scoring_imports_numpy_and_nothing_else() -> None:
    for source in SCORING.glob("*.py"):
        for node in ast.walk(ast.parse(source.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            for name in names:
                first = name.partition(".")[0]
                ours = name == "trainyard.scoring" or name.startswith("trainyard.scoring.")
                assert ours or first == "numpy" or first in sys.stdlib_module_names, f"{source.name}: {name}"


ROWS = np.array([[0.0, 0.0, 0.0], [1.0, 0.0, 4.0], [0.0, 1.0, 0.0], [3.0, 0.51, -2.0]])
MARGINS = np.array([-1.0, -1.0, -1.0, 6.0])
LEAVES = np.array([0.2, 0.2, 0.6, 0.9])


@pytest.mark.parametrize(
    ("kind", "scores"),
    [
        ("logistic_regression", 1 / (1 + np.exp(-MARGINS))),
        ("linear_svc", MARGINS),
        ("random_forest", (LEAVES + 0.1) / 2),
        ("gradient_boosted_trees", 1 / (1 + np.exp(-2 * (LEAVES - 0.2)))),
    ],
)
def test_each_kind_scores_by_its_rule(kind: str, scores: np.ndarray) -> None:
    scored = read_artifact(encoded(kind)).score(ROWS)
    assert scored.scores == pytest.approx(scores, abs=1e-12)
    assert list(scored.decisions) == list(scores >= 0.5)
    assert (scored.probabilities is None) == (kind == "linear_svc")


def test_a_gzipped_artifact_scores() -> None:
    assert read_artifact(gzip.compress(encoded())).num_features == 3


def test_a_leaf_is_reached_at_the_threshold_itself_to_the_left() -> None:
    scorer = read_artifact(encoded("random_forest"))
    at, above = scorer.score(np.array([[0, 0.5, 0], [0, np.nextafter(0.5, 1), 0]])).scores
    assert (at, above) == (pytest.approx(0.15), pytest.approx(0.35))


def test_trees_score_part_by_part_as_in_one(monkeypatch: pytest.MonkeyPatch) -> None:
    scorer = read_artifact(encoded("gradient_boosted_trees"))
    rows = np.random.default_rng(1).normal(size=(100, 3)) * 2
    whole = scorer.score(rows).scores
    monkeypatch.setattr(trees, "CELLS", 7)
    assert np.array_equal(scorer.score(rows).scores, whole)


@pytest.mark.parametrize(
    "kind", ["logistic_regression", "linear_svc", "random_forest", "gradient_boosted_trees"]
)
def test_no_rows_have_no_scores(kind: str) -> None:
    assert len(read_artifact(encoded(kind)).score(np.empty((0, 3))).scores) == 0


def test_text_and_array_are_the_same_rows() -> None:
    text = ["1 1:1.0 3:4", "", "# nothing", "2:1", "-1 # a row of no features", "+1\t1:3  2:0.51 3:-2 \r\n"]
    rows = libsvm_rows(text, num_features=3)
    expected = dense_rows(np.array([[1, 0, 4], [0, 1, 0], [0, 0, 0], [3, 0.51, -2]]))
    for field in ("starts", "indices", "values"):
        assert np.array_equal(getattr(rows, field), getattr(expected, field)), field


@given(
    st.lists(st.lists(st.sampled_from([0.0, 1.0, -2.5]), min_size=3, max_size=3), max_size=6),
    st.integers(0, 6),
)
def test_rows_may_be_cut_anywhere(table: list[list[float]], cut: int) -> None:
    rows = dense_rows(np.array(table).reshape(len(table), 3))
    cut = min(cut, len(table))
    scorer = read_artifact(encoded())
    parts = [scorer.score(rows.part(0, cut)).scores, scorer.score(rows.part(cut, len(table))).scores]
    assert np.array_equal(np.concatenate(parts), scorer.score(rows).scores)


@pytest.mark.parametrize("line", ["1 qid:7 1:0.5 3:-2e0", "qid:a-b 1:.5 3:-2", "+1 +1:+0.50 3:-2. # qid:7"])
def test_a_line_is_read_as_the_job_reads_it(line: str) -> None:
    rows = libsvm_rows([line], num_features=3)
    assert (rows.indices.tolist(), rows.values.tolist()) == ([0, 2], [0.5, -2.0])


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("1 4:1", "line 7: index 4; the model has 3 features"),
        ("1 0:1", "line 7: index 0 after 0; indices ascend from 1"),
        ("1 2:1 2:1", "line 7: index 2 after 2"),
        ("1 1:nan", "line 7: the value of feature 1 is no finite number"),
        ("1 1:confidential", "line 7: expected '<label> <index>:<value> …'"),
        ("1 confidential", "line 7: expected"),
        ("1 1_0:1", "line 7: expected"),
        ("1 1:1_0", "line 7: expected"),
        ("1 1:1 qid:7", "line 7: expected"),
        ("1 qid:7 qid:7 1:1", "line 7: expected"),
    ],
)
def test_a_bad_line_is_refused_without_its_data(line: str, expected: str) -> None:
    with pytest.raises(RowsError, match=expected) as caught:
        libsvm_rows([line], num_features=3, first_line=7)
    assert "confidential" not in str(caught.value)


def test_other_widths_and_feature_spaces_are_refused() -> None:
    scorer = read_artifact(encoded())
    with pytest.raises(RowsError, match="rows of 4 features; the model has 3"):
        scorer.score(np.zeros((1, 4)))
    with pytest.raises(RowsError, match="feature space 'hotels-v2'; the model has learned 'hotels-v1'"):
        scorer.score(np.zeros((1, 3)), feature_space="hotels-v2")
    with pytest.raises(RowsError, match="no finite number"):
        scorer.score(np.array([[np.nan, 0, 0]]))
    assert (
        len(
            scorer.score(
                Rows(np.array([0]), np.array([], int), np.array([]), 3), feature_space="hotels-v1"
            ).scores
        )
        == 0
    )


def with_trees(**changed: Any) -> dict[str, Any]:
    return {"kind": "random_forest", "parameters": {"trees": TREES | changed}}


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"format_version": 1}, "format_version is 1; expected 2"),
        ({"kind": "oracle"}, "kind is 'oracle'; expected logistic_regression"),
        ({"score_kind": "margin"}, "score_kind is 'margin'; logistic_regression has probability"),
        ({"num_features": 0}, "num_features is 0"),
        ({"threshold": 1.5}, "threshold is 1.5; expected a probability"),
        ({"threshold": None}, "threshold is None"),
        ({"parameters": None}, "parameters is None"),
        (
            {"parameters": {"intercept": None, "coefficients": LINEAR["coefficients"]}},
            "intercept holds what is no",
        ),
        ({"calibration": {"kind": "platt", "a": "x"}}, "correction or calibration"),
        (with_trees(roots=[]), "roots must be at least one node"),
        (with_trees(roots=[6]), "roots must be at least one node"),
        (with_trees(features=[3, -1, 0, -1, -1, -1]), "features must lie from 0 to 2"),
        (with_trees(lefts=[0, -1, 3, -1, -1, -1]), "lefts: the child of node 0 must stand behind it"),
        (with_trees(rights=[6, -1, 4, -1, -1, -1]), "rights: the child of node 0"),
        (with_trees(values=[0.0]), "1 values for 6 features"),
        (with_trees(thresholds=[None] * 6), "thresholds holds what is no finite number"),
    ],
)
def test_an_artifact_that_could_not_score_is_refused(changed: dict[str, Any], expected: str) -> None:
    with pytest.raises(ArtifactError, match=expected):
        read_artifact(encoded(**changed))


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\x1f\x8bcut"])
def test_what_is_no_artifact_is_refused(content: bytes) -> None:
    with pytest.raises(ArtifactError):
        read_artifact(content)
