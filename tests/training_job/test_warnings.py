"""Each warning stands for what it says, and does not stand where there is nothing to say."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.training_job.conftest import Finished, RequestMaker, write_rows
from training_job import seen_rows
from training_job.doubting import accuracy_warnings, constant_warnings, seen_warnings, unseen_warnings
from training_job.drift import Profile, drift_warnings, profile_of, standardized_differences
from training_job.loading import FeatureProfile
from training_job.warning_codes import WARNINGS, warning

Run = Callable[[dict[str, Any]], Finished]


def profile(values: np.ndarray, *, base_rate: float = 0.2) -> Profile:
    return Profile(
        len(values), base_rate, (values != 0).sum(axis=0), values.sum(axis=0), (values**2).sum(axis=0)
    )


def codes(found: list[dict[str, Any]]) -> list[str]:
    return [each["code"] for each in found]


def test_only_codes_of_the_list_are_warned_with() -> None:
    with pytest.raises(ValueError, match=r"known are .*not_converged"):
        warning("something", "else")


def test_every_warning_of_the_job_stands_in_the_list() -> None:
    source = "".join(path.read_text() for path in Path(seen_rows.__file__).parent.glob("*.py"))
    used = set(re.findall(r'warning\(\s*"(\w+)"', source)) | set(re.findall(r'{"code": "(\w+)"', source))
    assert used <= set(WARNINGS)
    assert set(WARNINGS) <= used


def test_rows_seen_in_train_are_counted_labels_ignored(run: Run, requests: RequestMaker, rows: Path) -> None:
    # two of four stand in train, one of them with the other label
    test = write_rows(rows.parent / "test.libsvm", "0 1:1", "1 2:0.5 3:1", "1 1:7", "0 2:7")
    warnings = run(requests.document([rows], [test], num_features=3)).json("metrics.json")["warnings"]
    (found,) = [each for each in warnings if each["code"] == "test_rows_in_train"]
    assert found["value"] == 0.5
    assert found["split"] == "test"


@pytest.mark.parametrize("rows_sent", [0, seen_rows.ROWS_SENT])
def test_rows_that_stand_in_test_several_times_count_as_often(
    run: Run, requests: RequestMaker, rows: Path, monkeypatch: pytest.MonkeyPatch, rows_sent: int
) -> None:
    monkeypatch.setattr(seen_rows, "ROWS_SENT", rows_sent)
    test = write_rows(rows.parent / "test.libsvm", "0 1:1", "0 1:1", "1 2:0.5 3:1", "1 1:7")
    warnings = run(requests.document([rows], [test], num_features=3)).json("metrics.json")["warnings"]
    assert [each["value"] for each in warnings if each["code"] == "test_rows_in_train"] == [0.75]


def test_the_share_of_rows_seen_is_a_metric_whether_it_is_a_warning_or_not(
    run: Run, requests: RequestMaker, rows: Path
) -> None:
    test = write_rows(rows.parent / "test.libsvm", *["1 1:7"] * 10, "0 1:1", *["0 2:7"] * 9)
    measured = run(requests.document([rows], [test], num_features=3)).json("metrics.json")
    assert measured["metrics"]["test"]["share_seen_in_train"] == 0.05
    assert "test_rows_in_train" not in codes(measured["warnings"])
    assert "share_seen_in_train" not in measured["metrics"]["train"]


def test_a_few_rows_seen_are_no_warning() -> None:
    assert seen_warnings(0.1) == []
    assert codes(seen_warnings(0.11)) == ["test_rows_in_train"]


def test_constant_features_are_those_of_one_value_in_all_rows() -> None:
    values = np.array([[0.1, 0, 1, 3, 5], [0.1, 0, 0, 3, 5.001], [0.1, 0, 1, -3, 5]])
    (found,) = constant_warnings(profile(values))
    assert found["value"] == 1
    assert found["sentence"] == "1 features (1) have one value in all 3 rows of train."
    assert constant_warnings(profile(values[:, 1:])) == []


def test_unseen_features_are_those_that_test_has_and_train_has_not() -> None:
    train = FeatureProfile(np.array([0, 4, 0, 2]), np.zeros(4), np.zeros(4))
    test = replace(train, non_zeros=np.array([1, 8, 0, 1]))
    (found,) = unseen_warnings(train, test)
    assert found["value"] == 1
    assert (
        found["sentence"]
        == "1 features (1) have values in test rows, 0.1 of all values there, and none in train."
    )
    assert unseen_warnings(train, train) == []


@pytest.mark.parametrize(
    ("accuracy", "base_rate", "warned"), [(0.8, 0.2, True), (0.81, 0.2, False), (0.7, 0.8, True)]
)
def test_accuracy_must_beat_the_larger_class(accuracy: float, base_rate: float, warned: bool) -> None:
    assert bool(accuracy_warnings({"accuracy": accuracy, "base_rate": base_rate})) is warned


def test_another_draw_of_the_same_is_no_drift() -> None:
    random = np.random.default_rng(2)
    draws = [profile((random.random((5000, 2000)) < 0.01).astype(float)) for _ in range(2)]
    assert drift_warnings(*draws, since="2026-11-20") == []


def test_a_moved_mean_is_drift_in_units_of_the_deviation() -> None:
    random = np.random.default_rng(2)
    then, now = random.normal(size=(2, 5000, 3))
    now[:, 1] = now[:, 1] / 2 + 0.4
    found = standardized_differences(profile(now), profile(then))
    deviation = np.sqrt((now[:, 1].var() + then[:, 1].var()) / 2)
    assert found[1] == pytest.approx((now[:, 1].mean() - then[:, 1].mean()) / deviation)
    (told,) = drift_warnings(profile(now), profile(then), since="2026-11-20")
    assert told["value"] == 1
    assert "feature 2 (+0.49)" in told["sentence"]


def test_a_constant_that_took_another_value_is_drift() -> None:
    then, now = np.ones((100, 2)), np.full((100, 2), [1.0, 2.0])
    (told,) = drift_warnings(profile(now), profile(then), since="2026-11-20")
    assert told["value"] == 1
    assert "feature 2 (+inf)" in told["sentence"]


@pytest.mark.parametrize(
    ("rows", "base_rate", "warned"), [(100_000, 0.25, True), (100_000, 0.21, False), (100, 0.25, False)]
)
def test_base_rate_drifts_when_it_changes_much_and_surely(rows: int, base_rate: float, warned: bool) -> None:
    then = Profile(rows, 0.2, *np.zeros((3, 1)))
    found = drift_warnings(replace(then, base_rate=base_rate), then, since="2026-11-20")
    assert codes(found) == (["base_rate_drift"] if warned else [])


def test_profile_survives_being_written() -> None:
    values = np.random.default_rng(1).normal(size=(50, 4))
    values[:, 2] = 0
    written = profile(values, base_rate=0.3).document()
    assert written["features"]["indices"] == [0, 1, 3]
    read = profile_of(written, 4)
    assert read.base_rate == 0.3
    assert np.allclose(read.variances, values.var(axis=0))


def test_profile_of_more_features_is_refused() -> None:
    written = profile(np.ones((2, 4))).document()
    with pytest.raises(IndexError):
        profile_of(written, 3)
