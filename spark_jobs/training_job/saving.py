"""What is kept of a training: the model for Spark, the artifact for everyone else, and what was measured."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from training_job.artifact import artifact
from training_job.curves import curves
from training_job.doubting import train_profile
from training_job.earlier_versions import ROLES

if TYPE_CHECKING:
    from training_job.deciding import Chosen, Decision
    from training_job.evaluation import Evaluation
    from training_job.learned import LearnedModel
    from training_job.loading import Split
    from training_job.session import Job


def save_model(job: Job, model: LearnedModel, decision: Decision) -> None:
    """Save the Spark model and the artifact."""
    folder = job.begin_saving()
    parameters = model.parameters(folder.save_model(model.spark_model))
    written = artifact(model, decision, job.request, parameters)
    folder.write_json("artifact.json", written, may_be_gzipped=True)


def save_measurements(
    job: Job,
    model: LearnedModel,
    chosen: Chosen,
    train: Split,
    evaluations: list[Evaluation],
    warnings: list[dict[str, Any]],
    *,
    share_seen: float,
) -> None:
    """Save metrics, curves, thresholds and profile.

    :param evaluations: on test, then on validation if that is a split of its own
    :param share_seen: of the test rows, those whose features stand in train too
    """
    folder = job.begin_saving()
    folder.write_json("curves.json", {"curves": curves(evaluations[0].ranking, split=evaluations[0].split)})
    folder.write_json("thresholds.json", chosen.thresholds())
    folder.write_json("profile.json", train_profile(train).document())
    measured = measurements(job, model, chosen, train, evaluations, warnings, share_seen=share_seen)
    folder.write_json("metrics.json", measured)


def measurements(
    job: Job,
    model: LearnedModel,
    chosen: Chosen,
    train: Split,
    evaluations: list[Evaluation],
    warnings: list[dict[str, Any]],
    *,
    share_seen: float,
) -> dict[str, Any]:
    """What ``metrics.json`` holds."""
    test = evaluations[0]
    of_train = {
        "rows": train.row_count,
        "weighted_rows": train.weighted_rows,
        "positives": train.weighted_positives,
        "base_rate": train.base_rate,
    }
    found = {each.split: each.metrics for each in evaluations}
    found[test.split] = {**test.metrics, "share_seen_in_train": share_seen}
    return {
        "metrics": {"train": of_train, **found},
        "intervals": {test.split: test.intervals},
        "comparisons": {role: test.comparisons.get(role) for role in ROLES},
        "threshold": chosen.decision.threshold,
        "threshold_rule": chosen.report(),
        "durations_seconds": job.durations_seconds,
        "iterations": model.iterations,
        "objective": model.objective,
        "warnings": [*model.warnings, *chosen.warnings(), *warnings],
    }
