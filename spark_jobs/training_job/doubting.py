"""What gives reason to doubt a training that succeeded: its warnings, each with the figure it is about."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from training_job.drift import Profile, drift_warnings, profile_of
from training_job.session import recognise
from training_job.warning_codes import warning

if TYPE_CHECKING:
    from training_job.evaluation import Evaluation
    from training_job.loading import FeatureProfile, Split
    from training_job.session import Job

# one-hot rows of a few fields repeat by nature; a split that leaks repeats nearly all
LARGEST_SHARE_SEEN = 0.1
NAMED = 5
# of the mean of the squares: what summing them in another order can change
ROUNDING = 1e-9


def train_profile(train: Split) -> Profile:
    """What ``profile.json`` keeps of train."""
    sums = train.profile
    return Profile(train.row_count, train.base_rate, sums.non_zeros, sums.sums, sums.sums_of_squares)


def warnings_about(
    job: Job, train: Split, test: Split, evaluation: Evaluation, *, share_seen: float
) -> list[dict[str, Any]]:
    """All warnings but those of learning and of loading earlier versions.

    :param evaluation: on test
    :param share_seen: of the test rows, those whose features stand in train too
    """
    return [
        *seen_warnings(share_seen),
        *constant_warnings(train_profile(train)),
        *unseen_warnings(train.profile, test.profile),
        *accuracy_warnings(evaluation.metrics),
        *_drift(job, train_profile(train)),
    ]


def seen_warnings(share: float) -> list[dict[str, Any]]:
    """``test_rows_in_train``, where a row that was learned is more than an exception."""
    if share <= LARGEST_SHARE_SEEN:
        return []
    sentence = f"{share:.1%} of the test rows have exactly the features of a row of train."
    return [warning("test_rows_in_train", sentence, value=share, split="test")]


def constant_warnings(train: Profile) -> list[dict[str, Any]]:
    """``constant_features``: those with one value, which is not 0, in all rows."""
    in_all_rows = train.counts == train.rows
    constant = np.flatnonzero(
        in_all_rows & (train.variances <= ROUNDING * train.sums_of_squares / train.rows)
    )
    if not len(constant):
        return []
    sentence = f"{_features(constant)} one value in all {train.rows} rows of train."
    return [warning("constant_features", sentence, value=float(len(constant)), split="train")]


def unseen_warnings(train: FeatureProfile, test: FeatureProfile) -> list[dict[str, Any]]:
    """``unseen_features``: those that test rows have and no row of train."""
    unseen = np.flatnonzero((train.non_zeros == 0) & (test.non_zeros > 0))
    if not len(unseen):
        return []
    share = test.non_zeros[unseen].sum() / test.non_zeros.sum()
    sentence = f"{_features(unseen)} values in test rows, {share:.2g} of all values there, and none in train."
    return [warning("unseen_features", sentence, value=float(len(unseen)), split="test")]


def accuracy_warnings(metrics: dict[str, float]) -> list[dict[str, Any]]:
    """``no_better_than_base_rate``."""
    accuracy, base_rate = metrics["accuracy"], metrics["base_rate"]
    of_constant = max(base_rate, 1 - base_rate)
    if accuracy > of_constant:
        return []
    sentence = (
        f"Accuracy on test is {accuracy:.4f}; deciding always for the larger class has {of_constant:.4f}."
    )
    return [warning("no_better_than_base_rate", sentence, value=accuracy, split="test")]


def _drift(job: Job, train: Profile) -> list[dict[str, Any]]:
    champion = job.request.earlier_versions.get("champion")
    if champion is None:
        return []
    try:
        document = json.loads(job.storage.read_bytes(champion.folder + "profile.json"))
        then = profile_of(document, job.request.num_features)
    # a file can be gone, cut short or another's: nothing of it fails a training
    except Exception as error:
        if recognise(error) is not None:
            raise
        sentence = f"{champion.folder}profile.json cannot be read: {type(error).__name__}"
        return [warning("profile_unreadable", sentence)]
    return drift_warnings(train, then, since=champion.data_date)


def _features(indices: Any) -> str:
    """Beginning of a sentence; features count from 1, as LibSVM has them."""
    named = ", ".join(str(index + 1) for index in indices[:NAMED])
    rest = ", …" if len(indices) > NAMED else ""
    return f"{len(indices)} features ({named}{rest}) have"
