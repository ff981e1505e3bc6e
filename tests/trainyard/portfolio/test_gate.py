"""What a portfolio may ask of its gate, and how a mistake in it is told."""

from __future__ import annotations

from datetime import timedelta

import pytest

from training_job.warning_codes import WARNINGS as JOB_WARNINGS
from trainyard.portfolio import Approval, Bound, Gate
from trainyard.portfolio.gate import METRICS, WARNINGS, age


def with_gate(smallest: str, gate: str) -> str:
    return smallest.replace("  cluster:\n", f"  gate: {gate}\n  cluster:\n", 1)


def test_without_a_word_the_champion_is_compared_at_the_default_margin(load, smallest):
    gate = load(smallest).models["hotels"].gate
    assert (gate.margin, gate.min_rows, gate.min_positives, gate.when_inconclusive) == (
        0.005,
        1000,
        100,
        "hold_back",
    )
    assert (dict(gate.bounds), gate.blocking_warnings, gate.max_positive_rate_change) == ({}, (), None)


def test_a_models_bounds_come_over_the_defaults_bounds(load, smallest):
    text = with_gate(smallest, "{bounds: {auc: {min: 0.7}, log_loss: {max: 0.5}}}")
    gate = load(text + "    gate: {bounds: {auc: {max: 0.99}}, margin: null}\n").models["hotels"].gate
    assert gate == Gate(bounds={"auc": Bound(min=0.7, max=0.99), "log_loss": Bound(max=0.5)}, margin=None)


@pytest.mark.parametrize(
    ("gate", "told"),
    [
        ("{bounds: {acu: {min: 0.7}}}", f"a metric: {', '.join(METRICS)}; nearest: auc"),
        ("{bounds: {auc: {}}}", "min, max, or both"),
        ("{bounds: {auc: {min: 0.9, max: 0.8}}}", "a min that is not above the max"),
        ("{bounds: {auc: 0.7}}", "a mapping of min, max"),
        ("{margin: 0}", "a number above 0, or null"),
        ("{min_rows: -1}", "a whole number of at least 0"),
        ("{when_inconclusive: hope}", "hold_back or activate"),
        ("{blocking_warnings: [test_row_in_train]}", f"{', '.join(WARNINGS)}; nearest: test_rows_in_train"),
        ("{margn: 0.1}", "is no known field; nearest: margin"),
    ],
)
def test_a_mistake_in_the_gate_says_what_is_accepted(mistakes, smallest, gate, told):
    (line,) = mistakes(with_gate(smallest, gate))
    assert line.startswith("small.yaml:14: defaults, gate.")
    assert line.endswith(told)


@pytest.mark.parametrize("text", ["3", "0 days", "3 weeks", "-1 days", "1.5 days", "days"])
def test_an_age_without_a_unit_that_is_known_is_refused(mistakes, smallest, text):
    (line,) = mistakes(smallest.replace("  cluster:\n", f'  fresh_within: "{text}"\n  cluster:\n', 1))
    assert line.endswith("such as 90 minutes, 36 hours or 3 days, or null")


def test_ages_are_minutes_hours_and_days():
    assert [age("90 minutes"), age("1 hour"), age("36 hours"), age("3 days")] == [
        timedelta(minutes=90),
        timedelta(hours=1),
        timedelta(hours=36),
        timedelta(days=3),
    ]


def test_nobody_is_asked_unless_the_portfolio_says_so(load, mistakes, smallest):
    assert load(smallest).approval is None
    assert load(f"{smallest}approval: {{}}\n").approval == Approval(within="12 hours", unanswered="reject")
    (line,) = mistakes(f"{smallest}approval: {{unanswered: wait}}\n")
    assert line.endswith('portfolio, approval.unanswered: "wait" is not accepted; reject or approve')


def test_a_gate_may_name_every_warning_that_the_job_gives():
    assert set(JOB_WARNINGS) <= set(WARNINGS)
