"""Where mistakes are told: the line, the section, once each, and all at once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from trainyard.portfolio import Mistake, PortfolioError, load_portfolio

GOLDEN = Path(__file__).parents[2] / "golden" / "portfolio"


def test_a_mistake_is_one_line_that_names_everything():
    mistake = Mistake(
        file=Path("dags/portfolios/demo.yaml"),
        line=23,
        section="model hotels",
        field="learner.params.regParam",
        value="-1",
        problem="is not accepted",
        accepted="a number of at least 0",
    )
    assert str(mistake) == (
        "dags/portfolios/demo.yaml:23: model hotels, learner.params.regParam: -1 is not accepted;"
        " a number of at least 0"
    )


def test_every_mistake_of_a_very_broken_file_is_told_at_once(monkeypatch):
    """UPDATE_GOLDEN=1 writes the expected lines anew."""
    monkeypatch.chdir(GOLDEN)
    with pytest.raises(PortfolioError) as caught:
        load_portfolio(Path("broken.yaml"))
    golden = Path("broken.txt")
    if os.environ.get("UPDATE_GOLDEN"):
        golden.write_text(f"{caught.value}\n", encoding="utf-8")
    assert f"{caught.value}\n" == golden.read_text(encoding="utf-8")


def test_a_mistake_in_defaults_is_told_once_where_it_stands(mistakes, smallest):
    text = smallest.replace("regParam: 0.01", "regParam: -1") + "  flights:\n  alps:\n"
    assert mistakes(text) == [
        "small.yaml:13: defaults, learner.params.regParam: -1 is not accepted; a number of at least 0"
    ]


def test_a_mistake_in_defaults_is_told_even_if_every_model_overrides_it(mistakes, smallest):
    text = smallest.replace("num_features: 7", "num_features: 0") + "    num_features: 7\n"
    assert mistakes(text) == [
        "small.yaml:10: defaults, num_features: 0 is not accepted; a whole number from 1 to 2147483647"
    ]


def test_a_mistake_in_the_portfolios_inputs_is_told_once(mistakes, smallest):
    (found,) = mistakes(smallest.replace("s3://features/{model}/{data_date}/train/", "x") + "  flights:\n")
    assert found.startswith('small.yaml:6: portfolio, inputs.train: "x" is not accepted; ')


def test_a_model_is_blamed_only_for_what_it_writes(mistakes, smallest):
    text = smallest + "    learner: {params: {tol: 0}}\n  flights:\n"
    assert mistakes(text) == [
        "small.yaml:23: model hotels, learner.params.tol: 0 is not accepted; a number above 0"
    ]


def test_what_all_models_lack_is_told_once(mistakes, smallest):
    text = smallest.replace("  num_features: 7\n", "")
    assert mistakes(text + "  flights:\n") == [
        "small.yaml:9: defaults, num_features: is missing; a whole number from 1 to 2147483647"
    ]
    assert mistakes(text + "    num_features: 3\n  flights:\n") == [
        "small.yaml:23: model flights, num_features: is missing; a whole number from 1 to 2147483647"
    ]


@pytest.mark.parametrize("field", ["portfolio", "schedule", "start_date", "owner", "output_root", "models"])
def test_a_missing_field_of_the_portfolio_is_told(mistakes, smallest, field):
    start = smallest.index(f"{field}:")
    rest = smallest[:start] + smallest[start:].partition("\n")[2] if field != "models" else smallest[:start]
    (found,) = mistakes(rest)
    assert found.startswith(f"small.yaml:1: portfolio, {field}: is missing; ")


UNKNOWN = [
    ("    num_featurs: 3\n", "num_featurs", "nearest: num_features"),
    ("    learner: {params: {maxiter: 3}}\n", "learner.params.maxiter", "nearest: maxIter"),
    ("    learner: {regParam: 3}\n", "learner.regParam", "it belongs at learner.params.regParam"),
    ("    schedule: null\n", "schedule", "it belongs at the top of the file"),
    ("    name: x\n", "name", "a model's name is its key under models"),
    ("    threshold: {zzz: 1}\n", "threshold.zzz", "known are rule, value, margin"),
    (
        "    threshold: {min_recall: 0.5}\n",
        "threshold.min_recall",
        "highest_precision has it; known are rule, value, margin",
    ),
    (
        "    learner: {name: LinearSVC, params: {elasticNetParam: 0, regParam: 1}}\n",
        "learner.params.elasticNetParam",
        "LogisticRegression has it; known are regParam, maxIter, tol, standardization, fitIntercept,"
        " aggregationDepth, maxBlockSizeInMB",
    ),
    (
        "    learner: {name: RandomForestClassifier, params: {numtrees: 5}}\n",
        "learner.params.numtrees",
        "nearest: numTrees",
    ),
]


@pytest.mark.parametrize(("lines", "field", "instead"), UNKNOWN)
def test_an_unknown_field_names_what_was_meant(mistakes, smallest, lines, field, instead):
    assert mistakes(smallest + lines) == [
        f"small.yaml:23: model hotels, {field}: is no known field; {instead}"
    ]


@pytest.mark.parametrize(
    ("line", "field", "instead"),
    [
        ("shedule: null", "shedule", "nearest: schedule"),
        ("learner: {}", "learner", "it belongs at defaults.learner"),
        ("sha256: abc", "sha256", "known are portfolio, schedule,"),
    ],
)
def test_an_unknown_field_of_the_portfolio_names_what_was_meant(mistakes, smallest, line, field, instead):
    (found,) = mistakes(f"{line}\n{smallest}")
    assert found.startswith(f"small.yaml:1: portfolio, {field}: is no known field; {instead}")


def test_a_long_value_is_cut(mistakes, smallest):
    (found,) = mistakes(f"{smallest}    cluster: {{release: {'x' * 500}}}\n")
    assert len(found) < 300


_SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8))
_FIELDS = st.sampled_from(
    ["portfolio", "models", "defaults", "inputs", "train", "schedule", "learner", "params", "name", "cluster"]
)
_DOCUMENTS = st.recursive(
    _SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(_FIELDS | st.text(max_size=4), inner)
    ),
    max_leaves=20,
)


@given(document=_DOCUMENTS)
def test_whatever_a_file_holds_it_is_a_portfolio_or_told_why_not(tmp_path_factory, document):
    path = tmp_path_factory.mktemp("any") / "any.yaml"
    path.write_text(yaml.safe_dump(document, allow_unicode=True), encoding="utf-8")
    with pytest.raises(PortfolioError) as caught:
        load_portfolio(path)
    assert caught.value.mistakes


@given(content=st.binary(max_size=60))
def test_whatever_bytes_a_file_holds_it_is_told_why_not(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("any") / "any.yaml"
    path.write_bytes(content)
    with pytest.raises(PortfolioError) as caught:
        load_portfolio(path)
    assert all(str(mistake).startswith(str(path)) for mistake in caught.value.mistakes)
