"""The learner finds what scikit-learn finds, and says where it has not converged."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_svmlight_file
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from tests.training_job.conftest import Finished, RequestMaker
from training_job import linear
from trainyard.laptop.demo_data import feature_files
from trainyard.laptop.travel_shop import sessions, true_scores
from trainyard.laptop.travel_shops import FLIGHTS, HOTELS
from trainyard.portfolio import load_portfolio

Run = Callable[[dict[str, Any]], Finished]


def write_features(model: str, folder: Path) -> tuple[list[Path], list[Path]]:
    """Train and test files of one of the demo's models."""
    for name, content in feature_files(model).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return sorted(folder.glob("train/*")), sorted(folder.glob("test/*"))


def load(paths: list[Path], num_features: int) -> tuple[Any, np.ndarray]:
    """All rows of the files, in order, as scikit-learn reads them."""
    text = b"".join(path.read_bytes() for path in paths)
    whole = paths[0].parent.parent / "whole.libsvm"
    whole.write_bytes(text)
    return load_svmlight_file(str(whole), n_features=num_features, zero_based=False)


def dense_coefficients(finished: Finished) -> np.ndarray:
    artifact = finished.json("artifact.json")
    coefficients = np.zeros(artifact["num_features"])
    found = artifact["parameters"]["coefficients"]
    coefficients[found["indices"]] = found["values"]
    return coefficients


SHOPS = pytest.mark.parametrize(("model", "shop"), [("hotels", HOTELS), ("flights", FLIGHTS)])


def demo_params(model: str) -> dict[str, Any]:
    """The learner's parameters as the demo's portfolio has them."""
    portfolio = load_portfolio(Path(__file__).parents[2] / "dags" / "portfolios" / "demo.yaml")
    return dict(portfolio.models[model].learner.params)


@SHOPS
def test_learned_model_ranks_as_the_truth_does(
    run: Run, requests: RequestMaker, tmp_path: Path, model: str, shop: Any
) -> None:
    train, test = write_features(model, tmp_path)
    num_features = len(shop.feature_names)
    finished = run(requests.document(train, test, num_features=num_features, params=demo_params(model)))
    drawn = sessions(shop, "test")
    attainable = roc_auc_score(drawn.booked, true_scores(shop, drawn.categories))
    assert finished.test_metrics["auc"] == pytest.approx(attainable, abs=0.002)
    # of a few categories there are not so many combinations: most stand in train and in test
    warnings = {each["code"] for each in finished.json("metrics.json")["warnings"]}
    assert warnings <= {"test_rows_in_train", "no_better_than_base_rate"}


@SHOPS
def test_coefficients_are_scikit_learns(
    run: Run, requests: RequestMaker, tmp_path: Path, model: str, shop: Any
) -> None:
    train, test = write_features(model, tmp_path)
    num_features, penalty = len(shop.feature_names), demo_params(model)["regParam"]
    # both solvers run to tolerance
    params = {**demo_params(model), "tol": 1e-12, "maxIter": 1000}
    finished = run(requests.document(train, test[:1], num_features=num_features, params=params))
    features, labels = load(train, num_features)
    # Spark weighs the penalty against the mean loss, scikit-learn against the sum
    reference = LogisticRegression(C=1 / (len(labels) * penalty), tol=1e-10, max_iter=5000).fit(
        features, labels
    )
    assert np.abs(dense_coefficients(finished) - reference.coef_[0]).max() < 1e-3
    intercept = finished.json("artifact.json")["parameters"]["intercept"]
    assert intercept == pytest.approx(reference.intercept_[0], abs=1e-3)
    chances = reference.predict_proba(features)[:, 1]
    loss = -np.mean(np.where(labels == 1, np.log(chances), np.log1p(-chances)))
    objective = loss + penalty / 2 * float(reference.coef_[0] @ reference.coef_[0])
    assert finished.json("metrics.json")["objective"] == pytest.approx(objective, abs=1e-6)


def test_breast_cancer_is_told_apart(run: Run, requests: RequestMaker, tmp_path: Path) -> None:
    train, test = write_features("breast_cancer", tmp_path)
    finished = run(requests.document(train, test, num_features=30, params={"regParam": 0.01}))
    assert finished.test_metrics["auc"] > 0.98


def test_lasso_leaves_zeros_out_of_the_artifact(run: Run, requests: RequestMaker, tmp_path: Path) -> None:
    train, test = write_features("breast_cancer", tmp_path)
    params = {"regParam": 0.05, "elasticNetParam": 1.0}
    finished = run(requests.document(train, test, num_features=30, params=params))
    coefficients = finished.json("artifact.json")["parameters"]["coefficients"]
    assert 0 < len(coefficients["indices"]) < 30
    assert 0 not in coefficients["values"]


def test_stopping_short_of_convergence_is_a_warning(run: Run, requests: RequestMaker, rows: Path) -> None:
    finished = run(requests.document([rows], [rows], num_features=3, params={"maxIter": 1}))
    warnings = finished.json("metrics.json")["warnings"]
    (warning,) = [each for each in warnings if each["code"] == "not_converged"]
    assert warning["code"] == "not_converged"
    assert "limit of 1 iterations" in warning["sentence"]


def test_coefficients_that_are_no_numbers_fail(
    run: Run, requests: RequestMaker, rows: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(linear.np, "isfinite", lambda values: np.zeros(3, dtype=bool))
    failure = run(requests.document([rows], [rows], num_features=3)).failure
    assert failure["code"] == "learning_diverged"
