"""The gate's rules on values: what each lets pass, what it holds back, and in which words."""

from __future__ import annotations

from typing import Any

import pytest

from trainyard.portfolio import Gate
from trainyard.publishing.formats import Metrics, Request
from trainyard.publishing.gate import judge, verdict, weigh

OLD = {"training_id": "0" * 16, "attempt": 1, "data_date": "2026-11-21"}


def old_version(
    version_id: int, *, log_loss: float = 0.4, excess: float = 0.0, error: float = 0.0004, **metrics: float
) -> dict[str, Any]:
    """An old version on the same rows: its log loss, and what the new model's has beyond it."""
    interval = {
        "value": excess,
        "standard_error": error,
        "low": excess - 2 * error,
        "high": excess + 2 * error,
    }
    return OLD | {
        "version_id": version_id,
        "metrics": {"log_loss": log_loss, **metrics},
        "differences": {"log_loss": interval | {"level": 0.95, "rows": 50_000}},
    }


def measured(*, rows: int = 50_000, positives: int = 5_000, **parts: Any) -> Metrics:
    on_test = {"rows": rows, "positives": positives, "auc": 0.8, "log_loss": 0.4, "positive_rate": 0.1}
    return Metrics.model_validate(
        {"metrics": {"test": on_test | parts.pop("test", {})}, "threshold": 0.5, **parts}
    )


def asked(**versions: int) -> Request:
    old = {name: {"version_id": version_id} for name, version_id in versions.items()}
    return Request.model_validate({"num_features": 9, "feature_space": "shop", "lineage": {}, **old})


def results(gate: Gate, metrics: Metrics, request: Request) -> dict[str, str]:
    return {finding.rule: finding.result for finding in weigh(gate, metrics=metrics, request=request)}


def test_too_few_rows_are_a_doubt_even_where_nothing_is_compared_and_only_a_first_version_may_pass_with_it():
    findings = weigh(Gate(), metrics=measured(rows=10, positives=1), request=asked())
    assert [(finding.rule, finding.result) for finding in findings] == [("evidence", "inconclusive")]
    found = verdict(Gate(), findings)
    assert (found.passes, found.code, found.passes_as_first) == (False, "inconclusive", True)


@pytest.mark.parametrize(
    ("gate", "parts"),
    [
        # bounds that too few rows cannot show to hold
        (Gate.model_validate({"bounds": {"auc": {"min": 0.75}}}), {}),
        (Gate(), {"threshold_rule": {"rule": "precision_at_least", "feasible": False}}),
    ],
)
def test_a_first_version_of_which_more_is_asked_than_rows_does_not_pass_with_too_few(gate, parts):
    found = verdict(gate, weigh(gate, metrics=measured(rows=10, positives=1, **parts), request=asked()))
    assert (found.passes, found.passes_as_first) == (False, False)


def test_a_first_version_goes_by_the_absolute_bounds():
    gate = Gate.model_validate({"bounds": {"auc": {"min": 0.75, "max": 0.99}, "log_loss": {"max": 0.3}}})
    found = verdict(gate, weigh(gate, metrics=measured(), request=asked()))
    assert (found.passes, found.code) == (False, "out_of_bounds")
    assert found.sentence == "log_loss is 0.4; at most 0.3 is wanted"
    assert results(gate, measured(), asked()) == {
        "bounds.auc": "passed",
        "bounds.log_loss": "failed",
        "evidence": "passed",
    }


def test_a_bound_holds_where_the_metric_stands_exactly_on_it():
    gate = Gate.model_validate({"bounds": {"auc": {"min": 0.8, "max": 0.8}}})
    assert results(gate, measured(), asked())["bounds.auc"] == "passed"


def test_an_undefined_metric_meets_no_bound():
    gate = Gate.model_validate({"bounds": {"precision": {"min": 0.1}}})
    (finding,) = [
        each for each in weigh(gate, metrics=measured(), request=asked()) if each.result == "failed"
    ]
    assert finding.sentence == "precision is undefined; at least 0.1 is wanted"


@pytest.mark.parametrize(
    ("excess", "error", "passes"),
    [
        # shares of 0.4: the margin of 0.5% is an excess of 0.002
        (0.0, 0.0009, True),
        (0.0, 0.0010, False),  # the upper bound stands on the margin
        (0.0, 0.0011, False),  # nothing is worse, but too little is known
        (0.0015, 0.0002, True),  # worse, and surely by less than the margin
        (0.0015, 0.0003, False),
        (-0.01, 0.001, True),
        (0.004, 0.0001, False),  # one percent worse
    ],
)
def test_the_upper_bound_of_the_excess_must_stay_below_the_margin(excess, error, passes):
    comparisons = {"champion": old_version(7, excess=excess, error=error)}
    found = weigh(Gate(), metrics=measured(comparisons=comparisons), request=asked(champion=7))
    assert verdict(Gate(), found).passes is passes


def test_the_margin_is_a_share_so_that_a_night_of_low_log_loss_is_held_to_less():
    def passes(log_loss: float) -> bool:
        comparisons = {"champion": old_version(7, log_loss=log_loss, excess=0.001, error=0.0001)}
        return verdict(
            Gate(), weigh(Gate(), metrics=measured(comparisons=comparisons), request=asked(champion=7))
        ).passes

    assert (passes(0.4), passes(0.1)) == (True, False)


def test_a_failed_comparison_tells_its_figures_and_its_text():
    comparisons = {"champion": old_version(7, excess=0.004, error=0.0005)}
    found = judge(Gate(), metrics=measured(comparisons=comparisons), request=asked(champion=7))
    assert found.code == "worse_than_champion"
    assert found.sentence == (
        "the log loss is 1% above that of version 7, the champion on the same rows, and with its error 1.25% above; "
        "less than 0.5% above is wanted"
    )
    assert found.report["compared"] == {
        "champion": {"version_id": 7, "log_loss": pytest.approx(0.404), "old_log_loss": 0.4}
    }
    rule = found.report["rules"][0]
    assert rule["rule"] == "champion.margin"
    assert rule["figures"] == pytest.approx(
        {
            "log_loss": 0.404,
            "old_log_loss": 0.4,
            "excess": 0.01,
            "upper_bound": 0.0125,
            "margin": 0.005,
            "level": 0.95,
        }
    )


def test_small_steps_down_that_each_champion_forgives_are_stopped_by_the_best_of_the_month():
    comparisons = {
        "champion": old_version(7, excess=0.001, error=0.0001),
        "best_recent": old_version(3, excess=0.006, error=0.0001),
    }
    request = asked(champion=7, best_recent=3)
    assert results(Gate(), measured(comparisons=comparisons), request) == {
        "champion.margin": "passed",
        "best_recent.margin": "failed",
        "evidence": "passed",
    }


@pytest.mark.parametrize(
    "champion",
    [
        None,
        OLD | {"version_id": 7, "metrics": {"auc": 0.8}},
        # as of a champion that has no probabilities
        old_version(7) | {"differences": {}},
        old_version(7) | {"metrics": {"log_loss": 0.0}},
        old_version(6),
    ],
)
def test_a_comparison_that_was_asked_for_and_not_made_is_inconclusive(champion):
    metrics = measured(comparisons={"champion": champion})
    assert results(Gate(), metrics, asked(champion=7))["champion.margin"] == "inconclusive"


@pytest.mark.parametrize(("rows", "positives"), [(999, 500), (5_000, 99)])
@pytest.mark.parametrize(("policy", "passes"), [("hold_back", False), ("activate", True)])
def test_below_the_rows_that_are_wanted_the_declared_policy_decides(rows, positives, policy, passes):
    gate = Gate(when_inconclusive=policy, bounds={})
    for excess in (0.0, 0.1):
        comparisons = {"champion": old_version(7, excess=excess)}
        metrics = measured(rows=rows, positives=positives, comparisons=comparisons)
        found = verdict(gate, weigh(gate, metrics=metrics, request=asked(champion=7)))
        assert (found.passes, found.code) == (passes, "inconclusive")
    assert "; 1,000 are wanted" in found.sentence or "; 100 are wanted" in found.sentence


def test_too_few_rows_excuse_neither_an_infeasible_threshold_nor_a_blocking_warning():
    gate = Gate(when_inconclusive="activate", blocking_warnings=("test_rows_in_train",))
    few = {"rows": 10, "comparisons": {"champion": old_version(7)}}
    infeasible = measured(**few, threshold_rule={"rule": "precision_at_least", "feasible": False})
    warned = measured(
        **few, warnings=[{"code": "test_rows_in_train", "sentence": "3 of 10 rows.", "value": 3}]
    )
    for metrics, code, told in (
        (infeasible, "threshold_infeasible", "no threshold meets the rule"),
        (warned, "blocking_warning", "test_rows_in_train: 3 of 10 rows."),
    ):
        found = verdict(gate, weigh(gate, metrics=metrics, request=asked(champion=7)))
        assert (found.passes, found.code) == (False, code)
        assert told in found.sentence


def test_a_warning_that_is_not_named_blocks_nothing():
    metrics = measured(warnings=[{"code": "not_converged", "sentence": "It stopped."}])
    gate = Gate(blocking_warnings=("test_rows_in_train",))
    assert results(gate, metrics, asked()) == {"evidence": "passed"}


@pytest.mark.parametrize(
    ("old_rate", "new_rate", "result"),
    [
        (0.1, 0.12, "passed"),
        (0.1, 0.081, "passed"),
        (0.1, 0.13, "failed"),
        (0.1, 0.07, "failed"),
        (0.0, 0.0, "passed"),
        (0.0, 0.01, "failed"),
    ],
)
def test_the_share_of_yes_may_move_by_a_share_of_the_champions(old_rate, new_rate, result):
    gate = Gate(max_positive_rate_change=0.21)
    metrics = measured(
        test={"positive_rate": new_rate}, comparisons={"champion": old_version(7, positive_rate=old_rate)}
    )
    assert results(gate, metrics, asked(champion=7))["positive_rate"] == result


def test_the_report_goes_into_json_whatever_was_found():
    import json  # noqa: PLC0415

    gate = Gate(max_positive_rate_change=0.2)
    metrics = measured(
        test={"positive_rate": 0.3}, comparisons={"champion": old_version(7, positive_rate=0.0)}
    )
    found = judge(gate, metrics=metrics, request=asked(champion=7))
    assert "Infinity" not in json.dumps(found.report)
