"""The job against its peers, in one run on one machine: ratios, and whether they meet their goals."""

from __future__ import annotations

import argparse
import gzip
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.datasets import load_svmlight_file
from sklearn.metrics import log_loss, roc_auc_score

from benchmarks.train.contestants import Run, run_job, run_rdd_workflow, run_sklearn_workflow
from benchmarks.train.data import BUILD, NUM_FEATURES, DataFiles, write_data
from benchmarks.train.jvm import SETTINGS, archive_classes

TRAIN_ROWS, VALIDATION_ROWS, TEST_ROWS = 400_000, 50_000, 100_000
# times the rows → whole process against the RDD workflow's, and against scikit-learn's
GOALS = {1: (0.45, 1.25), 4: (0.35, 0.65)}
AFTER_FIT_GOAL, LOG_LOSS_GOAL, AUC_GOAL = 0.35, 1e-4, 1e-9

Figures = dict[str, dict[str, Any]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1, 4], help="times 500,000 rows")
    parser.add_argument("--repeats", type=int, default=1, help="runs of each; the fastest counts")
    parser.add_argument("--only", choices=["job"], help="without the peers: to see where time goes")
    arguments = parser.parse_args()
    work = BUILD / "train"
    java_options = archive_classes(work)
    figures: Figures = {}
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
        print(f"{size}x job {job.seconds:.1f} s: {job.steps_seconds}", flush=True)
        if not arguments.only:
            figures |= _against_peers(size, files, job, work, repeats=arguments.repeats)
    if figures:
        (BUILD / "train.json").write_text(json.dumps(figures, indent=1))
    for name, figure in figures.items():
        met = figure["value"] <= figure["goal"]
        print(f"{name:45} {figure['value']:10.3g}  goal {figure['goal']:g}  {'met' if met else 'MISSED'}")


def _against_peers(size: int, files: DataFiles, job: Run, work: Path, *, repeats: int) -> Figures:
    sklearn = _fastest(partial(run_sklearn_workflow, files, work), repeats)
    rdd = _fastest(partial(run_rdd_workflow, files, work), repeats)
    print(f"{size}x scikit-learn {sklearn.seconds:.1f} s, RDD workflow {rdd.seconds:.1f} s", flush=True)
    steps = job.steps_seconds
    after_fit = sum(seconds for name, seconds in steps.items() if name not in ("load", "learn"))
    of_sklearn = json.loads((sklearn.output / "metrics.json").read_text())
    of_job = json.loads((job.output / "metrics.json").read_text())["metrics"]["test"]
    labels, margins = _test_margins(job, files)
    found = {
        "job_over_rdd_workflow": (job.seconds / rdd.seconds, GOALS[size][0]),
        "job_over_scikit_learn": (job.seconds / sklearn.seconds, GOALS[size][1]),
        "after_fit_over_load_and_fit": (after_fit / (steps["load"] + steps["learn"]), AFTER_FIT_GOAL),
        "log_loss_above_scikit_learns": (
            log_loss(labels, 1 / (1 + np.exp(-margins))) - of_sklearn["log_loss"],
            LOG_LOSS_GOAL,
        ),
        "auc_off_scikit_learns_function": (abs(of_job["auc"] - roc_auc_score(labels, margins)), AUC_GOAL),
    }
    return {
        f"{name}_{size}x": {"value": value, "goal": goal, "better": "lower"}
        for name, (value, goal) in found.items()
    }


def _fastest(run: Callable[[], Run], repeats: int) -> Run:
    return min((run() for _ in range(repeats)), key=lambda each: each.seconds)


def _test_margins(job: Run, files: DataFiles) -> tuple[np.ndarray, np.ndarray]:
    """Labels of the test rows, and what the job's artifact gives them before any calibration: no peer calibrates."""
    packed = job.output / "artifact.json.gz"
    plain = (
        gzip.decompress(packed.read_bytes())
        if packed.exists()
        else (job.output / "artifact.json").read_bytes()
    )
    parameters = json.loads(plain)["parameters"]
    coefficients = np.zeros(NUM_FEATURES)
    coefficients[parameters["coefficients"]["indices"]] = parameters["coefficients"]["values"]
    features, labels = load_svmlight_file(str(files.test), n_features=NUM_FEATURES, zero_based=False)
    return labels, features @ coefficients + parameters["intercept"]


if __name__ == "__main__":
    main()
