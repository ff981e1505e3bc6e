"""Train against the profile that the champion left of its own train: what has changed since."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from training_job.warning_codes import warning

# means that are further apart than this many standard deviations are out of balance: P. Austin, Balance diagnostics for
# comparing the distribution of baseline covariates, Statistics in Medicine 28, 2009
LARGEST_STANDARDIZED_DIFFERENCE = 0.1
# of the base rate, relative to the old one
LARGEST_CHANGE = 0.1
# standard errors below which a difference may be chance; of thousands of features, none passes by chance
SURE_OF_BASE_RATE, SURE_OF_FEATURE = 3.0, 5.0
NAMED = 5


@dataclass(frozen=True)
class Profile:
    """Sums over the rows of a train split, unweighted but for the base rate.

    :param base_rate: weighted
    :param counts: per feature, rows in which it is not 0; this and the sums are arrays (num_features,)
    """

    rows: int
    base_rate: float
    counts: Any
    sums: Any
    sums_of_squares: Any

    @property
    def means(self) -> Any:
        return self.sums / self.rows

    @property
    def variances(self) -> Any:
        """Of the values over all rows, zeros among them."""
        return np.maximum(self.sums_of_squares / self.rows - self.means**2, 0.0)

    def document(self) -> dict[str, Any]:
        """What ``profile.json`` holds: the features that any row has, indices from 0."""
        present = np.flatnonzero(self.counts)
        return {
            "rows": self.rows,
            "base_rate": self.base_rate,
            "features": {
                "indices": present.tolist(),
                "count": self.counts[present].astype(np.int64).tolist(),
                "sum": self.sums[present].tolist(),
                "sum_of_squares": self.sums_of_squares[present].tolist(),
            },
        }


def profile_of(document: dict[str, Any], num_features: int) -> Profile:
    """A ``profile.json``; raises KeyError, ValueError, TypeError or IndexError where it is none of this width."""
    features = document["features"]
    indices = np.asarray(features["indices"], dtype=np.int64)
    columns = []
    for name in ("count", "sum", "sum_of_squares"):
        column = np.zeros(num_features)
        column[indices] = features[name]
        columns.append(column)
    return Profile(int(document["rows"]), float(document["base_rate"]), *columns)


def drift_warnings(now: Profile, then: Profile, *, since: str) -> list[dict[str, Any]]:
    """``base_rate_drift`` and ``feature_drift``, as far as there is any.

    :param since: data date of the champion
    """
    return [*_base_rate_drift(now, then, since=since), *_feature_drift(now, then, since=since)]


def _base_rate_drift(now: Profile, then: Profile, *, since: str) -> list[dict[str, Any]]:
    change = now.base_rate / then.base_rate - 1 if then.base_rate else math.inf
    error = math.sqrt(sum(each.base_rate * (1 - each.base_rate) / each.rows for each in (now, then)))
    is_sure = abs(now.base_rate - then.base_rate) > SURE_OF_BASE_RATE * error
    if abs(change) <= LARGEST_CHANGE or not is_sure:
        return []
    sentence = (
        f"The base rate of train is {now.base_rate:.4g}; it was {then.base_rate:.4g} when the champion was trained "
        f"on {since}: {change:+.0%}."
    )
    return [warning("base_rate_drift", sentence, value=now.base_rate - then.base_rate, split="train")]


def standardized_differences(now: Profile, then: Profile) -> Any:
    """Per feature, now's mean minus then's in units of the standard deviation of both, (num_features,).

    0 where the difference may be chance; infinite where a feature that never varied took another value.
    """
    apart = now.means - then.means
    error = np.sqrt(now.variances / now.rows + then.variances / then.rows)
    deviation = np.sqrt((now.variances + then.variances) / 2)
    with np.errstate(divide="ignore", invalid="ignore"):
        differences = apart / deviation
    # rounding of the sums, where all values are equal
    is_sure = np.abs(apart) > SURE_OF_FEATURE * error + 1e-9 * np.abs(then.means)
    return np.where(is_sure, differences, 0.0)


def _feature_drift(now: Profile, then: Profile, *, since: str) -> list[dict[str, Any]]:
    differences = standardized_differences(now, then)
    drifted = np.flatnonzero(np.abs(differences) > LARGEST_STANDARDIZED_DIFFERENCE)
    if not len(drifted):
        return []
    most = drifted[np.argsort(-np.abs(differences[drifted]), kind="stable")][:NAMED]
    named = ", ".join(f"{index + 1} ({differences[index]:+.2f})" for index in most)
    sentence = (
        f"The mean of {len(drifted)} features has moved by more than {LARGEST_STANDARDIZED_DIFFERENCE} standard "
        f"deviations since the champion was trained on {since}; most that of feature {named}; features count from 1."
    )
    return [warning("feature_drift", sentence, value=float(len(drifted)), split="train")]
