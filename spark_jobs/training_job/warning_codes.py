"""What a training may warn about, as a closed list of codes. Warnings are data in ``metrics.json``."""

from __future__ import annotations

from typing import Any

WARNINGS = {
    "threshold_infeasible": "No threshold satisfies the rule; the best that was possible was taken.",
    "not_converged": "The learner stopped at its limit of iterations before it converged.",
    "test_rows_in_train": "Test rows have features that stand in train, row for row: the test may flatter.",
    "constant_features": "Features have one value in all rows of train and can tell nothing apart.",
    "unseen_features": "Features of the test rows stand in no row of train, so nothing was learned about them.",
    "base_rate_drift": "The share of positives in train is another one than when the champion was trained.",
    "feature_drift": "Features are distributed otherwise in train than when the champion was trained.",
    "no_better_than_base_rate": "Deciding always for the more frequent class would be right as often.",
    "bad_lines_skipped": "Lines of the input could not be read and were skipped, as the request allows.",
    "champion_unreadable": "An earlier version could not be loaded, so nothing was compared with it.",
    "champion_not_comparable": "An earlier version takes other features, so nothing was compared with it.",
    "profile_unreadable": "The champion's profile could not be read, so drift was not looked for.",
}


def warning(
    code: str, sentence: str, *, value: float | None = None, split: str | None = None
) -> dict[str, Any]:
    """One warning of ``metrics.json``.

    :param code: one of WARNINGS
    :param sentence: for a person; holds no row of the data
    :param value: the figure that the sentence is about
    :param split: that it is about
    """
    if code not in WARNINGS:
        raise ValueError(f"{code!r} is no warning code; known are {', '.join(sorted(WARNINGS))}")
    return {"code": code, "sentence": sentence, "value": value, "split": split}
