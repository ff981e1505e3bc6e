"""The learners a request may name: how each is built from its parameters, and what it leaves behind.

A further learner is one more entry of LEARNERS.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
from pyspark.ml.classification import LogisticRegression

from training_job.failures import JobError

if TYPE_CHECKING:
    from training_job.loading import Split
    from training_job.request import LearnerChoice


@dataclass(frozen=True)
class LearnedModel:
    """A fitted model and how the fit went.

    :param spark_model: scores a DataFrame of ``features`` and can be saved
    :param kind: names the scoring rule in the artifact
    :param parameters: all that the scoring rule needs; plain JSON
    :param objective: value of the training objective where the learner stopped
    """

    spark_model: Any
    kind: str
    parameters: dict[str, Any]
    iterations: int
    objective: float
    warnings: tuple[dict[str, str], ...]


@dataclass(frozen=True)
class Learner:
    """
    :param accepted: parameter → (what is accepted in words, does a value fit)
    :param fit: (split to learn from, parameters) → the model
    """

    accepted: Mapping[str, tuple[str, Callable[[Any], bool]]]
    fit: Callable[..., LearnedModel]


def learner_for(choice: LearnerChoice) -> Callable[[Split], LearnedModel]:
    """What fits the learner that the request names; raises ``bad_request`` where its parameters do not fit."""
    learner = LEARNERS.get(choice.name)
    if learner is None:
        _refuse("learner.name", choice.name, " or ".join(sorted(LEARNERS)))
    for name, value in choice.params.items():
        if name not in learner.accepted:
            _refuse("learner.params", name, f"parameters among {', '.join(sorted(learner.accepted))}")
        accepted, fits = learner.accepted[name]
        if not fits(value):
            _refuse(f"learner.params.{name}", value, accepted)
    return partial(learner.fit, params=choice.params)


def _refuse(field: str, value: object, accepted: str) -> NoReturn:
    raise JobError("bad_request", f"request.json: {field} is {value!r}; expected {accepted}")


def _fit_logistic_regression(split: Split, params: dict[str, Any]) -> LearnedModel:
    """L-BFGS (OWL-QN where there is an L1 part); the rows stay on the executors."""
    learner = LogisticRegression(featuresCol="features", labelCol="label", family="binomial", **params)
    model = learner.fit(split.rows)
    coefficients, intercept = model.coefficients.toArray(), float(model.intercept)
    if not (np.isfinite(coefficients).all() and math.isfinite(intercept)):
        raise JobError(
            "learning_diverged",
            "the coefficients are not finite numbers; features of very different scale are the usual cause: "
            "scale them, or set standardization or a larger regParam",
        )
    indices = np.flatnonzero(coefficients)
    iterations = int(model.summary.totalIterations)
    return LearnedModel(
        spark_model=model,
        kind="logistic_regression",
        parameters={
            "intercept": intercept,
            "coefficients": {"indices": indices.tolist(), "values": coefficients[indices].tolist()},
        },
        iterations=iterations,
        objective=float(model.summary.objectiveHistory[-1]),
        warnings=_convergence_warnings(iterations, learner.getMaxIter()),
    )


def _convergence_warnings(iterations: int, max_iterations: int) -> tuple[dict[str, str], ...]:
    if iterations < max_iterations:
        return ()
    sentence = (
        f"The learner stopped at its limit of {max_iterations} iterations before it converged: raise maxIter."
    )
    return ({"code": "not_converged", "sentence": sentence},)


def _number_from(lowest: float, highest: float = math.inf) -> Callable[[Any], bool]:
    def fits(value: Any) -> bool:
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        return is_number and math.isfinite(value) and lowest <= value <= highest

    return fits


def _whole_number_from(lowest: int) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, int) and not isinstance(value, bool) and value >= lowest


def _is_bool(value: Any) -> bool:
    return isinstance(value, bool)


LEARNERS = {
    "LogisticRegression": Learner(
        accepted={
            "regParam": ("a number of at least 0", _number_from(0)),
            "elasticNetParam": ("a number from 0 to 1", _number_from(0, 1)),
            "maxIter": ("a whole number of at least 1", _whole_number_from(1)),
            "tol": ("a number of at least 0", _number_from(0)),
            "standardization": ("true or false", _is_bool),
            "fitIntercept": ("true or false", _is_bool),
            "aggregationDepth": ("a whole number of at least 2", _whole_number_from(2)),
            "maxBlockSizeInMB": ("a number of at least 0", _number_from(0)),
        },
        fit=_fit_logistic_regression,
    )
}
