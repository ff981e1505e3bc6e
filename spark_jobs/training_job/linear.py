"""Linear models: logistic regression and the linear support vector machine."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from training_job.failures import JobError
from training_job.fitting import Fit
from training_job.warning_codes import warning


def linear_fit(estimator: Any, model: Any) -> Fit:
    """How the fit went; raises ``learning_diverged`` where it came to no numbers."""
    summary = model.summary
    # a property of one of Spark's models, a method of the other
    summary = summary() if callable(summary) else summary
    objective = float(summary.objectiveHistory[-1])
    coefficients, intercept = model.coefficients.toArray(), float(model.intercept)
    if not (np.isfinite(coefficients).all() and math.isfinite(intercept) and math.isfinite(objective)):
        raise JobError(
            "learning_diverged",
            "the coefficients are not finite numbers; features of very different scale are the usual cause: "
            "scale them, or set standardization or a larger regParam",
        )
    iterations = int(summary.totalIterations)
    return Fit(
        iterations=iterations,
        objective=objective,
        warnings=_convergence_warnings(iterations, estimator.getMaxIter()),
    )


def linear_parameters(model: Any, _folder: str) -> dict[str, Any]:
    """Margin: intercept + coefficients · features; those of zero are left out."""
    coefficients = model.coefficients.toArray()
    indices = np.flatnonzero(coefficients)
    return {
        "intercept": float(model.intercept),
        "coefficients": {"indices": indices.tolist(), "values": coefficients[indices].tolist()},
    }


def _convergence_warnings(iterations: int, max_iterations: int) -> tuple[dict[str, Any], ...]:
    if iterations < max_iterations:
        return ()
    sentence = (
        f"The learner stopped at its limit of {max_iterations} iterations before it converged: raise maxIter."
    )
    return (warning("not_converged", sentence, value=iterations, split="train"),)
