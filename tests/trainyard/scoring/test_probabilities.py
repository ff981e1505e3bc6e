"""Raw scores become probabilities, and back, the same way on the cluster and in an application."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainyard.scoring.probabilities import Isotonic, Platt, Probabilities, probabilities_of, sigmoid

REPOSITORY = Path(__file__).parents[3]

FACTORS = st.none() | st.floats(1e-3, 1e3)
CALIBRATIONS = st.one_of(
    st.none(),
    st.builds(Platt, a=st.floats(-20, 0), b=st.floats(-5, 5)),
    st.lists(
        st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=6, unique_by=lambda p: p[0]
    ).map(
        lambda points: Isotonic(
            np.sort(np.array([score for score, _ in points])),
            np.sort(np.array([probability for _, probability in points])),
        )
    ),
)
MAPS = st.builds(
    Probabilities, score_kind=st.just("probability"), odds_factor=FACTORS, calibration=CALIBRATIONS
)


def test_job_and_product_hold_the_same_text() -> None:
    job = REPOSITORY / "spark_jobs" / "training_job" / "probabilities.py"
    product = REPOSITORY / "plugins" / "trainyard" / "scoring" / "probabilities.py"
    assert job.read_text() == product.read_text(), (
        f"copy the one you changed over the other: {job}, {product}"
    )


@given(found=MAPS, scores=st.lists(st.floats(0, 1), min_size=2))
def test_a_higher_score_never_has_a_lower_probability(found: Probabilities, scores: list[float]) -> None:
    probabilities = found.of(np.sort(np.array(scores)))
    assert (probabilities >= 0).all()
    assert (probabilities <= 1).all()
    # what is left is the last digit's rounding
    assert (np.diff(probabilities) >= -1e-15).all()


@given(found=MAPS)
def test_an_artifact_gives_the_map_back(found: Probabilities) -> None:
    scores = np.linspace(0, 1, 11)
    assert np.array_equal(probabilities_of(found.document()).of(scores), found.of(scores))


@given(found=MAPS, probability=st.floats(0, 1))
def test_lowest_score_reaches_the_probability_and_the_double_below_does_not(
    found: Probabilities, probability: float
) -> None:
    lowest = found.lowest_score(probability)
    if lowest is None:
        assert found.of(np.array([1.0]))[0] < probability
        return
    assert found.of(np.array([lowest]))[0] >= probability
    if lowest > 0:
        assert found.of(np.array([np.nextafter(lowest, 0)]))[0] < probability


@given(probability=st.floats(0, 1))
def test_without_correction_and_calibration_a_probability_is_its_own_score(probability: float) -> None:
    assert Probabilities("probability").lowest_score(probability) == probability


def test_keeping_a_tenth_of_the_negatives_is_undone() -> None:
    # of 1,000 negatives and 100 positives that look alike, 100 and 100 were learned from
    assert Probabilities("probability", odds_factor=0.1).of(np.array([0.5]))[0] == pytest.approx(1 / 11)


def test_a_margin_alone_has_no_probability() -> None:
    margin = Probabilities("margin")
    assert not margin.known
    with pytest.raises(ValueError, match="no probability without a calibration"):
        margin.of(np.array([0.0]))


def test_a_calibrated_margin_is_found_back() -> None:
    margin = Probabilities("margin", calibration=Platt(a=-2.0, b=1.0))
    assert margin.lowest_score(0.5) == pytest.approx(0.5)
    assert margin.of(np.array([0.5]))[0] == pytest.approx(0.5)


def test_sigmoid_keeps_its_digits_far_out() -> None:
    assert np.allclose(
        sigmoid(np.array([-700.0, -40.0, 0.0, 800.0])), [np.exp(-700), np.exp(-40), 0.5, 1], rtol=1e-12
    )


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"score_kind": "odds"}, "score_kind is 'odds'"),
        ({"correction": {"odds_factor": 0}}, "odds_factor is 0.0"),
        ({"calibration": {"kind": "beta"}}, "calibration.kind is 'beta'"),
        ({"calibration": {"kind": "isotonic", "scores": [1, 1], "probabilities": [0, 1]}}, "must ascend"),
    ],
)
def test_an_unknown_map_is_refused(changed: dict[str, object], expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        probabilities_of({"score_kind": "probability", "correction": None, "calibration": None} | changed)
