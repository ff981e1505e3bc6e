"""What a valid file becomes: defaults filled in, layers merged, values that cannot change."""

from __future__ import annotations

import hashlib
import pickle
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from trainyard.portfolio import Inputs, PortfolioError, load_portfolio
from trainyard.portfolio.load import merge

REPOSITORY = Path(__file__).parents[3]


def test_the_smallest_file_gets_every_default(load, smallest):
    portfolio = load(smallest)
    assert (portfolio.name, portfolio.schedule, portfolio.start_date) == ("small", None, date(2026, 11, 1))
    assert (portfolio.time_zone, portfolio.tags, portfolio.data_lag_days) == ("UTC", (), 1)
    assert (portfolio.connections.aws, portfolio.min_fresh) == ("aws_default", None)
    assert (portfolio.connections.app_db, portfolio.connections.analytics_db) == ("app_db", "analytics_db")
    model = portfolio.models["hotels"]
    assert (model.name, model.feature_space, model.label_mapping) == ("hotels", "hotels", {"0": 0, "1": 1})
    assert (model.threshold.rule, model.threshold.value, model.calibration) == ("fixed", 0.5, "none")
    assert (model.imbalance.negatives_kept, model.imbalance.class_weights) == (1.0, None)
    assert (model.inputs.validation, model.inputs.marker) == (None, "_SUCCESS")
    assert model.learner.params.model_dump() == {
        "regParam": 0.01,
        "elasticNetParam": 0.0,
        "maxIter": 100,
        "tol": 1e-6,
        "standardization": False,
        "fitIntercept": True,
        "aggregationDepth": 2,
        "maxBlockSizeInMB": 0.0,
    }
    assert (model.cluster.release, model.cluster.primary.count) == ("emr-7.13.0", 1)
    assert model.cluster.core.market == "ON_DEMAND"


def test_the_demo_is_valid():
    portfolio = load_portfolio(REPOSITORY / "dags" / "portfolios" / "demo.yaml")
    assert list(portfolio.models) == ["breast_cancer", "flights", "hotels", "original_sample"]
    assert portfolio.schedule == "0 2 * * *"


def test_models_come_sorted_by_name_so_that_adding_one_moves_no_other(load, smallest):
    assert list(load(smallest + "  flights:\n  zebra:\n  alps:\n").models) == [
        "alps",
        "flights",
        "hotels",
        "zebra",
    ]


def test_a_models_own_value_wins_and_its_neighbours_keep_the_default(load, smallest):
    portfolio = load(smallest + "    learner: {params: {maxIter: 7}}\n  flights:\n")
    assert portfolio.models["hotels"].learner.params.maxIter == 7
    assert portfolio.models["hotels"].learner.params.regParam == 0.01
    assert portfolio.models["flights"].learner.params.maxIter == 100


def test_defaults_win_over_the_portfolios_inputs_and_a_model_over_both(load, smallest):
    text = smallest.replace(
        "defaults:\n", "defaults:\n  inputs: {marker: done, validation: 's3://features/{model}/v/'}\n"
    )
    portfolio = load(text + "    inputs: {validation: null}\n  flights:\n")
    assert portfolio.models["hotels"].inputs.validation is None
    assert portfolio.models["hotels"].inputs.marker == "done"
    assert portfolio.models["flights"].inputs.validation == "s3://features/{model}/v/"
    assert portfolio.models["flights"].inputs.train == "s3://features/{model}/{data_date}/train/"


def test_a_label_mapping_is_replaced_as_a_whole(load, smallest):
    text = smallest.replace("defaults:\n", "defaults:\n  label_mapping: {0: 0, 1: 1}\n")
    assert load(text + "    label_mapping: {-1: 0, +1: 1}\n").models["hotels"].label_mapping == {
        "-1": 0,
        "1": 1,
    }


def test_labels_are_kept_as_the_shortest_number(load, smallest):
    mapping = load(smallest + "    label_mapping: {-1.0: 0, 0.5: 0, '2': 1}\n").models["hotels"].label_mapping
    assert mapping == {"-1": 0, "0.5": 0, "2": 1}


def test_spark_defaults_and_tags_are_kept_as_written(load, smallest):
    text = smallest + (
        "    cluster:\n"
        "      spark_defaults: {spark.a: 0.10, spark.b: true, spark.c: 3g, spark.d: '7'}\n"
        "      tags: {cost_center: 0042}\n"
    )
    cluster = load(text).models["hotels"].cluster
    assert cluster.spark_defaults == {"spark.a": "0.10", "spark.b": "true", "spark.c": "3g", "spark.d": "7"}
    assert cluster.tags == {"cost_center": "0042"}


def test_an_alias_shares_a_group_of_models_values(load, smallest):
    text = smallest + "    cluster: &large {core: {count: 9}}\n  flights: {cluster: *large}\n  alps:\n"
    models = load(text).models
    assert [models[name].cluster.core.count for name in ("alps", "flights", "hotels")] == [2, 9, 9]
    assert models["flights"].cluster.core.instance_type == "m7g.xlarge"


def test_inputs_resolve_to_the_models_folders_of_the_day():
    template = "s3://features/{model}/{data_date}/"
    inputs = Inputs(train=template + "train/", test=template + "test/x.libsvm", marker=None)
    assert inputs.resolve(model="hotels", data_date=date(2026, 11, 22)) == Inputs(
        train="s3://features/hotels/2026-11-22/train/",
        test="s3://features/hotels/2026-11-22/test/x.libsvm",
        marker=None,
    )


def test_the_hash_is_that_of_the_files_bytes(load, smallest):
    assert load(smallest).sha256 == hashlib.sha256(smallest.encode()).hexdigest()
    assert load(smallest + "# a comment\n").sha256 != load(smallest).sha256


def test_a_portfolio_cannot_be_changed(load, smallest):
    with pytest.raises(ValidationError):
        load(smallest).models["hotels"].cluster.core.count = 3  # type: ignore[misc]


def test_a_missing_file_is_told_like_any_mistake(tmp_path):
    with pytest.raises(PortfolioError, match=r"absent\.yaml: portfolio: cannot be read: No such file"):
        load_portfolio(tmp_path / "absent.yaml")


def test_the_error_survives_being_sent_to_another_process(load, smallest):
    with pytest.raises(PortfolioError) as caught:
        load(smallest + "    num_features: 0\n")
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_loading_needs_neither_airflow_nor_aws_nor_a_database():
    code = "import sys, trainyard.portfolio; print({name.partition('.')[0] for name in sys.modules})"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    for heavy in ("airflow", "boto3", "botocore", "croniter", "numpy", "pyspark", "sqlalchemy"):
        assert f"'{heavy}'" not in loaded


_VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=3)),
    lambda inner: st.dictionaries(st.sampled_from("abcd"), inner, max_size=4),
    max_leaves=12,
)
_MAPPINGS = st.dictionaries(st.sampled_from("abcd"), _VALUES, max_size=4)


def _leaves(values: object, path: tuple[str, ...] = ()) -> dict[tuple[str, ...], object]:
    if not isinstance(values, dict) or not values:
        return {path: values}
    return {
        key: leaf for name, value in values.items() for key, leaf in _leaves(value, (*path, name)).items()
    }


@given(lower=_MAPPINGS, upper=_MAPPINGS)
def test_merging_keeps_all_of_the_upper_and_what_it_does_not_touch_of_the_lower(lower, upper):
    merged = _leaves(merge(lower, upper))
    above, below = _leaves(upper), _leaves(lower)
    for path, value in above.items():
        if value != {}:
            assert merged[path] == value
    for path, value in below.items():
        touched = any(path[: len(other)] == other or other[: len(path)] == path for other in above)
        if path and not touched:
            assert merged[path] == value


@given(values=_MAPPINGS)
def test_merging_with_nothing_or_itself_changes_nothing(values):
    assert merge({}, values) == merge(values, {}) == merge(values, values) == values
