"""A rule's threshold is the one that brute force over the scores finds; on the cluster and by the command line."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainyard.scoring.probabilities import Isotonic, Probabilities
from trainyard.scoring.threshold_rules import RULES, Outcomes, at_threshold, between, choose, fixed

REPOSITORY = Path(__file__).parents[3]
# score, positive, weight
Row = tuple[float, bool, float]

# few scores, so that ties are common; weights are quarters, so that sums are exact
ROWS = st.lists(
    st.tuples(
        st.integers(0, 12).map(lambda n: n / 12), st.booleans(), st.integers(1, 8).map(lambda n: n / 4)
    ),
    min_size=1,
    max_size=40,
)
SHARES = st.integers(0, 20).map(lambda n: n / 20)
VALUES = st.integers(-4, 4).map(float)
GIVEN_RULES = st.one_of(
    st.builds(lambda beta: {"rule": "best_f_beta", "beta": beta}, st.sampled_from([0.5, 1.0, 2.0])),
    st.builds(lambda share: {"rule": "highest_recall", "min_precision": share}, SHARES),
    st.builds(lambda share: {"rule": "highest_precision", "min_recall": share}, SHARES),
    st.builds(lambda share: {"rule": "limited_positive_rate", "max_positive_rate": share}, SHARES),
    st.fixed_dictionaries(
        {
            "rule": st.just("best_profit"),
            "true_positive": VALUES,
            "false_positive": VALUES,
            "true_negative": VALUES,
            "false_negative": VALUES,
        }
    ),
)


def outcomes_of(rows: list[Row]) -> Outcomes:
    scores = np.array(sorted({score for score, _, _ in rows}, reverse=True))
    return Outcomes(
        scores=scores,
        below=np.append(scores[1:], math.nan),
        true_positives=np.array([counts(rows, score)[0] for score in scores]),
        false_positives=np.array([counts(rows, score)[1] for score in scores]),
        positives=sum(weight for _, positive, weight in rows if positive),
        negatives=sum(weight for _, positive, weight in rows if not positive),
    )


def counts(rows: list[Row], threshold: float) -> tuple[float, float]:
    """Weights of the positives and of the negatives that are decided for."""
    decided = [(positive, weight) for score, positive, weight in rows if score >= threshold]
    return (
        sum(weight for positive, weight in decided if positive),
        sum(weight for positive, weight in decided if not positive),
    )


def f_beta(rows: list[Row], threshold: float, beta: float) -> float:
    found, wrong = counts(rows, threshold)
    precision, recall = found / (found + wrong), found / max(counts(rows, -1)[0], 1e-300)
    return (1 + beta**2) * precision * recall / (beta**2 * precision + recall) if found else 0.0


def profit(rows: list[Row], threshold: float, rule: dict[str, Any]) -> float:
    earned = 0.0
    for score, positive, weight in rows:
        sign = "true" if positive == (score >= threshold) else "false"
        outcome = f"{sign}_{'positive' if score >= threshold else 'negative'}"
        earned += weight * rule[outcome]
    return earned / sum(counts(rows, -1))


def aim(rows: list[Row], threshold: float, rule: dict[str, Any]) -> tuple[bool, float]:
    """Whether the threshold satisfies the rule, and how much it has of what the rule wants most of."""
    found, wrong = counts(rows, threshold)
    positives, negatives = counts(rows, -1)
    precision, rate = found / (found + wrong), (found + wrong) / (positives + negatives)
    recall = found / positives if positives else 0.0
    by_rule: dict[str, Callable[[], tuple[bool, float]]] = {
        "best_f_beta": lambda: (positives > 0, f_beta(rows, threshold, rule["beta"])),
        "highest_recall": lambda: (precision >= rule["min_precision"], recall),
        "highest_precision": lambda: (recall >= rule["min_recall"], precision),
        "limited_positive_rate": lambda: (rate <= rule["max_positive_rate"], rate),
        "best_profit": lambda: (
            profit(rows, threshold, rule) >= profit(rows, 2, rule) - 1e-12,
            profit(rows, threshold, rule),
        ),
    }
    return by_rule[rule["rule"]]()


def test_every_rule_is_tried_here() -> None:
    assert len(RULES) == 5


def test_job_and_product_hold_the_same_text() -> None:
    job = REPOSITORY / "spark_jobs" / "training_job" / "threshold_rules.py"
    product = REPOSITORY / "plugins" / "trainyard" / "scoring" / "threshold_rules.py"
    text = job.read_text().replace("from training_job.", "from trainyard.scoring.")
    assert text == product.read_text(), f"copy the one you changed over the other: {job}, {product}"


@given(rows=ROWS, rule=GIVEN_RULES)
def test_a_choice_is_what_brute_force_finds(rows: list[Row], rule: dict[str, Any]) -> None:
    choice = choose(rule, outcomes_of(rows))
    candidates = [aim(rows, score, rule) for score, _, _ in rows]
    satisfied = [wanted for fits, wanted in candidates if fits]
    assert choice.feasible == bool(satisfied)
    assert (choice.sentence is None) == choice.feasible
    if satisfied:
        fits, wanted = aim(rows, choice.threshold, rule)
        assert fits
        assert wanted == pytest.approx(max(satisfied), abs=1e-12)


@given(rows=ROWS, rule=GIVEN_RULES)
def test_what_a_choice_achieves_is_what_its_threshold_comes_to(rows: list[Row], rule: dict[str, Any]) -> None:
    choice = choose(rule, outcomes_of(rows))
    achieved = choice.achieved
    assert (achieved["true_positives"], achieved["false_positives"]) == counts(rows, choice.threshold)
    assert at_threshold(choice.threshold, outcomes_of(rows)).achieved.items() <= achieved.items()
    if "profit_per_row" in achieved:
        assert achieved["profit_per_row"] == pytest.approx(profit(rows, choice.threshold, rule))
    if "f_beta" in achieved:
        assert achieved["f_beta"] == pytest.approx(f_beta(rows, choice.threshold, rule["beta"]))


@given(rows=ROWS, rule=GIVEN_RULES)
def test_a_threshold_stands_clear_of_every_score(rows: list[Row], rule: dict[str, Any]) -> None:
    threshold = choose(rule, outcomes_of(rows)).threshold
    # no probability is below 0
    assert threshold == 0 or all(abs(score - threshold) > 0.01 for score, _, _ in rows)


@given(rows=ROWS, threshold=st.floats(0, 1.1))
def test_a_given_threshold_comes_to_its_counts(rows: list[Row], threshold: float) -> None:
    achieved = at_threshold(threshold, outcomes_of(rows)).achieved
    assert (achieved["true_positives"], achieved["false_positives"]) == counts(rows, threshold)


@pytest.mark.parametrize(
    ("rule", "sentence"),
    [
        (
            {"rule": "highest_recall", "min_precision": 0.9},
            "no threshold has a precision of 0.9; the highest is 0.5",
        ),
        (
            {"rule": "limited_positive_rate", "max_positive_rate": 0.1},
            "no threshold decides for at most 0.1 of the rows; the fewest are 0.5",
        ),
        (
            {
                "rule": "best_profit",
                "true_positive": 1,
                "false_positive": -3,
                "true_negative": 0,
                "false_negative": 0,
            },
            "no threshold earns as much as deciding for no row, 0 a row; the most is -0.5",
        ),
    ],
    ids=lambda value: value["rule"] if isinstance(value, dict) else "",
)
def test_what_nothing_satisfies_is_told_with_the_best_that_was_possible(
    rule: dict[str, Any], sentence: str
) -> None:
    rows = [(0.8, True, 1.0), (0.8, False, 1.0), (0.2, False, 1.0), (0.1, True, 1.0)]
    choice = choose(rule, outcomes_of(rows))
    assert (choice.feasible, choice.sentence) == (False, sentence)
    assert choice.threshold == 0.5


@pytest.mark.parametrize(("lowest", "expected"), [(0.3, 0.15), (0.0, 0.0), (-2.0, -3.0)])
def test_a_threshold_for_all_rows_lies_below_the_lowest_score(lowest: float, expected: float) -> None:
    outcomes = outcomes_of([(0.9, False, 1.0), (lowest, True, 1.0)])
    assert choose({"rule": "highest_precision", "min_recall": 1.0}, outcomes).threshold == expected


def test_neighbouring_doubles_have_no_middle() -> None:
    score = 0.3
    assert between(float(np.nextafter(score, 0)), score) == score
    assert between(math.nan, score) == score


def test_a_threshold_between_candidates_of_many_rows_states_its_error() -> None:
    outcomes = Outcomes(
        scores=np.array([0.8, 0.4]),
        below=np.array([0.7, math.nan]),
        true_positives=np.array([3.0, 4.0]),
        false_positives=np.array([1.0, 9.0]),
        positives=4.0,
        negatives=9.0,
        max_error_rows=8.0,
    )
    assert at_threshold(0.5, outcomes).achieved["max_error_rows"] == 8.0
    assert "max_error_rows" not in at_threshold(0.8, outcomes).achieved
    assert choose({"rule": "highest_recall", "min_precision": 0.7}, outcomes).threshold == pytest.approx(0.75)


def test_a_fixed_probability_is_translated_to_the_score() -> None:
    outcomes = outcomes_of([(0.9, True, 1.0), (0.5, False, 1.0), (0.1, False, 1.0)])
    # a tenth of the negatives was learned from: half is 10 to 11
    corrected = Probabilities("probability", odds_factor=0.1)
    choice = fixed(0.5, corrected, outcomes)
    assert choice.threshold == pytest.approx(10 / 11)
    assert (choice.feasible, choice.achieved["true_positives"]) == (True, 0.0)
    assert fixed(0.5, Probabilities("probability"), outcomes).threshold == 0.5


def test_a_fixed_margin_stands_as_it_is() -> None:
    outcomes = outcomes_of([(0.9, True, 1.0), (0.5, False, 1.0)])
    assert fixed(-3.25, Probabilities("margin"), outcomes).threshold == -3.25


def test_a_fixed_probability_beyond_a_calibrations_end_is_infeasible() -> None:
    outcomes = outcomes_of([(0.9, True, 1.0), (0.5, False, 1.0)])
    ends = Probabilities("probability", calibration=Isotonic(np.array([0.2, 0.6]), np.array([0.1, 0.8])))
    choice = fixed(0.9, ends, outcomes)
    assert choice.sentence == "no score has a probability of 0.9; the highest is 0.8"
    assert (choice.feasible, choice.threshold) == (False, 0.6)
