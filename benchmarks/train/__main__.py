"""The job against its peers, in one run on one machine: ratios, and whether they meet their goals."""

from __future__ import annotations

import argparse
import gzip
import json
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.datasets import load_svmlight_file
from sklearn.metrics import log_loss, roc_auc_score

from benchmarks.figures import Figure, report
from benchmarks.train.contestants import Run, run_job, run_rdd_workflow, run_sklearn_workflow
from benchmarks.train.data import BUILD, NUM_FEATURES, DataFiles, write_data
from benchmarks.train.jvm import SETTINGS, archive_classes

TRAIN_ROWS, VALIDATION_ROWS, TEST_ROWS = 400_000, 50_000, 50_000
# times the rows → whole process against the RDD workflow's, and against scikit-learn's
GOALS = {1: (0.45, 1.25), 4: (0.35, 0.65)}
AFTER_FIT_GOAL, LOG_LOSS_GOAL, AUC_GOAL = 0.35, 1e-4, 1e-9


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", choices=[*GOALS], default=[*GOALS])
    parser.add_argument("--repeats", type=int, default=1, help="runs of each; the fastest counts")
    parser.add_argument("--only", choices=["job"], help="without the peers: to see where time goes")
    arguments = parser.parse_args()
    work = BUILD / "train"
    java_options = archive_classes(work)
    figures: dict[str, Figure] = {}
    for size in arguments.sizes:
        files = write_data(
            work,
            train_rows=size * TRAIN_ROWS,
            validation_rows=size * VALIDATION_ROWS,
            test_rows=size * TEST_ROWS,
        )
        job = _fastest(
            partial(run_job, files, work, java_options=java_options, conf=SETTINGS), arguments.repeats
        )
        figures |= _figures(size, _durations(job))
        if not arguments.only:
            figures |= _figures(size, _against_peers(size, files, job, work, repeats=arguments.repeats))
    return report("train", figures)


def _durations(job: Run) -> dict[str, Figure]:
    steps = job.steps_seconds
    return {
        "seconds_of_job": Figure(job.seconds),
        "processor_seconds_of_job": Figure(job.processor_seconds),
        **{f"seconds_of_job_{name}": Figure(seconds) for name, seconds in steps.items()},
        "after_fit_over_load_and_fit": Figure(_after_fit(steps), AFTER_FIT_GOAL),
    }


def _after_fit(steps: dict[str, float]) -> float:
    load_and_fit = steps["load"] + steps["learn"]
    return (sum(steps.values()) - load_and_fit) / load_and_fit


def _against_peers(size: int, files: DataFiles, job: Run, work: Path, *, repeats: int) -> dict[str, Figure]:
    rdd = _fastest(partial(run_rdd_workflow, files, work), repeats)
    sklearn = _fastest(partial(run_sklearn_workflow, files, work), repeats)
    features, labels = load_svmlight_file(str(files.test), n_features=NUM_FEATURES, zero_based=False)
    margins = features @ _coefficients(job) + _parameters(job)["intercept"]
    of_sklearn = np.load(sklearn.output / "model.npz")
    margins_of_sklearn = features @ of_sklearn["coefficients"][0] + of_sklearn["intercept"]
    auc = json.loads((job.output / "metrics.json").read_text())["metrics"]["test"]["auc"]
    log_loss_above = _log_loss(labels, margins) - _log_loss(labels, margins_of_sklearn)
    return {
        "seconds_of_rdd_workflow": Figure(rdd.seconds),
        "processor_seconds_of_rdd_workflow": Figure(rdd.processor_seconds),
        "seconds_of_scikit_learn": Figure(sklearn.seconds),
        "processor_seconds_of_scikit_learn": Figure(sklearn.processor_seconds),
        "job_over_rdd_workflow": Figure(job.seconds / rdd.seconds, GOALS[size][0]),
        "job_over_scikit_learn": Figure(job.seconds / sklearn.seconds, GOALS[size][1]),
        "log_loss_above_scikit_learns": Figure(log_loss_above, LOG_LOSS_GOAL),
        "auc": Figure(auc),
        "auc_off_scikit_learns_function": Figure(abs(auc - roc_auc_score(labels, margins)), AUC_GOAL),
    }


def _figures(size: int, figures: dict[str, Figure]) -> dict[str, Figure]:
    return {f"{name}_{size}x": figure for name, figure in figures.items()}


def _fastest(run: Callable[[], Run], repeats: int) -> Run:
    return min((run() for _ in range(repeats)), key=lambda each: each.seconds)


def _log_loss(labels: Any, margins: Any) -> float:
    """Before any calibration: no peer calibrates."""
    return float(log_loss(labels, 1 / (1 + np.exp(-margins))))


def _coefficients(job: Run) -> Any:
    coefficients = np.zeros(NUM_FEATURES)
    sparse = _parameters(job)["coefficients"]
    coefficients[sparse["indices"]] = sparse["values"]
    return coefficients


def _parameters(job: Run) -> dict[str, Any]:
    """As the job's artifact has them."""
    packed, plain = job.output / "artifact.json.gz", job.output / "artifact.json"
    content = gzip.decompress(packed.read_bytes()) if packed.exists() else plain.read_bytes()
    parameters: dict[str, Any] = json.loads(content)["parameters"]
    return parameters


if __name__ == "__main__":
    sys.exit(main())
