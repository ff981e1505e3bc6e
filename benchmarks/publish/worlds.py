"""Made-up nights whose truth is known: rows by a logistic model, models learned from them, regressions of a known size.

The features are such as a shop has: one half are yes or no, from rare to common, the other half are numbers. What is
learned is the maximum of the likelihood on rows drawn anew, so that two nights' models differ as two nights' models do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

FEATURES = 30
# spread of the true log-odds over the rows: AUC about 0.83, as the demo's shops have it
_SPREAD = 1.4
# Newton's steps from the truth: each squares the distance to the maximum, which is about 1e-2 to begin with
_STEPS = 2
# to a millionth of where they begin
_BISECTIONS = 20

Array = Any


@dataclass(frozen=True)
class World:
    """How rows come about.

    :param frequencies: how often each of the yes-or-no features is yes
    :param theta: the intercept and the coefficients of the true log-odds
    """

    frequencies: Array
    theta: Array


def make_world(rng: np.random.Generator, *, base_rate: float) -> World:
    """A world with that share of positives."""
    half = FEATURES // 2
    frequencies = np.exp(rng.uniform(np.log(0.02), np.log(0.5), half))
    deviations = np.concatenate([np.sqrt(frequencies * (1 - frequencies)), np.ones(FEATURES - half)])
    coefficients = rng.normal(0, _SPREAD / np.sqrt(FEATURES), FEATURES) / deviations
    without = World(frequencies, np.concatenate([[0.0], coefficients]))
    log_odds = draw_features(rng, without, rows=20_000) @ without.theta
    intercept = bisect(lambda shift: float(probability(log_odds + shift).mean()) - base_rate, -20, 20)
    return World(frequencies, np.concatenate([[intercept], coefficients]))


def draw_features(rng: np.random.Generator, world: World, *, rows: int) -> Array:
    """(rows, 1 + FEATURES) in single precision; the first column is the intercept's ones."""
    half = len(world.frequencies)
    features = np.empty((rows, 1 + FEATURES), np.float32)
    features[:, 0] = 1
    features[:, 1 : half + 1] = rng.random((rows, half), np.float32) < world.frequencies
    features[:, half + 1 :] = rng.standard_normal((rows, FEATURES - half), np.float32)
    return features


def draw_labels(rng: np.random.Generator, truth: Array) -> Array:
    """Labels, 0 or 1, with those probabilities."""
    return (rng.random(len(truth)) < truth).astype(np.float64)


def learn(rng: np.random.Generator, world: World, *, rows: int) -> Array:
    """The logistic regression of a night's own rows, without a penalty: shape (1 + FEATURES,)."""
    features = draw_features(rng, world, rows=rows)
    labels = draw_labels(rng, probability(features @ world.theta.astype(np.float32)))
    theta = world.theta.copy()
    for _ in range(_STEPS):
        found = probability(features @ theta.astype(np.float32))
        weights = (found * (1 - found)).astype(np.float32)
        gradient = (features.T @ (labels - found).astype(np.float32)).astype(np.float64)
        hessian = ((features * weights[:, None]).T @ features).astype(np.float64)
        theta = theta + np.linalg.solve(hessian, gradient)
    return theta


def worsen(log_odds: Array, direction: Array, *, truth: Array, target: float) -> Array:
    """``log_odds`` moved along ``direction`` until their expected log loss under the truth is ``target``."""
    amount = bisect(
        lambda step: expected_log_loss(truth, log_odds + step * direction) - target, 0.0, _far(direction)
    )
    return log_odds + amount * direction


def _far(direction: Array) -> float:
    """A step along a direction that costs much more than any regression planted here."""
    return float(5 / max(np.abs(direction).mean(), 1e-9))


def probability(log_odds: Array) -> Array:
    return 1 / (1 + np.exp(-np.asarray(log_odds, np.float64)))


def log_loss(labels: Array, log_odds: Array) -> Array:
    """Of each row."""
    return np.logaddexp(0, log_odds) - labels * log_odds


def expected_log_loss(truth: Array, log_odds: Array) -> float:
    """Mean over rows whose labels are known only by their true probabilities."""
    return float(log_loss(truth, log_odds).mean())


def bisect(rises: Any, low: float, high: float) -> float:
    """Where a rising function of one number is zero."""
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        low, high = (middle, high) if rises(middle) < 0 else (low, middle)
    return (low + high) / 2
