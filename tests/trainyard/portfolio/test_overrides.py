"""What a run puts over its models' settings: merged like a layer of the file, refused in the file's words."""

from __future__ import annotations

import pytest

from trainyard.portfolio import PortfolioError, overridden

TWO_MODELS = """\
  flights:
    num_features: 9
    cluster:
      tags: {team: 7}
    label_mapping: {-1: 0, 1: 1}
"""


@pytest.fixture
def shop(load, smallest):
    return load(smallest + TWO_MODELS)


def run(shop, overrides):
    return overridden(shop, models=["flights", "hotels"], overrides=overrides)


def told(shop, overrides):
    with pytest.raises(PortfolioError) as caught:
        run(shop, overrides)
    return str(caught.value).splitlines()


def test_without_overrides_the_models_are_the_portfolios(shop):
    assert run(shop, {}) == dict(shop.models)


def test_overrides_come_over_every_chosen_model_and_leave_the_rest(shop):
    models = run(shop, {"learner": {"params": {"regParam": 0.5}}, "cluster": {"core": {"count": 8}}})
    for name in ("flights", "hotels"):
        assert (models[name].learner.params.regParam, models[name].cluster.core.count) == (0.5, 8)
        assert models[name].cluster.core.instance_type == "m7g.xlarge"
    assert [models["flights"].num_features, models["hotels"].num_features] == [9, 7]
    # a default that is made of another field, and what is kept as it was written
    assert models["flights"].feature_space == "flights"
    assert models["flights"].cluster.tags == {"team": "7"}


def test_only_chosen_models_are_there_and_the_portfolio_stays_as_it_is(shop):
    assert overridden(shop, models=["hotels"], overrides={"num_features": 8}).keys() == {"hotels"}
    assert shop.models["hotels"].num_features == 7


def test_a_mapping_that_the_file_replaces_as_a_whole_is_replaced_here_too(shop):
    models = run(shop, {"label_mapping": {"2": 1, "3": 0}})
    assert models["flights"].label_mapping == {"2": 1, "3": 0}


def test_every_mistake_is_told_once_and_not_for_each_model(shop):
    assert told(shop, {"num_features": 0, "gate": {"blocking_warnings": ["x"]}, "cluster": {"cores": 3}}) == [
        "overrides: every chosen model, num_features: 0 is not accepted; a whole number from 1 to 2147483647",
        told(shop, {"gate": {"blocking_warnings": ["x"]}})[0],
        "overrides: every chosen model, cluster.cores: is no known field; nearest: core",
    ]


@pytest.mark.parametrize(
    ("overrides", "line"),
    [
        (
            {"retries": 0},
            "retries: is the DAG's, the same for every run; change the portfolio's file",
        ),
        ({"name": "x"}, "name: is no known field; a model's name is its key under models"),
        ({"schedule": None}, "schedule: is no known field; it belongs at the top of the file"),
        ({"num_features": "9"}, 'num_features: "9" is not accepted; a whole number from 1 to 2147483647'),
    ],
)
def test_what_no_run_may_change_is_refused(shop, overrides, line):
    assert told(shop, overrides) == [f"overrides: every chosen model, {line}"]
