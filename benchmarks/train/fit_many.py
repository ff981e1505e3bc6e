"""Many rows fitted, with a small driver and executors apart from it: `python -m benchmarks.train.fit_many`.

The whole job, as it is submitted to a cluster: the strict reader, rows on executors, every file written.
"""

from __future__ import annotations

import argparse
import json
import sys

from benchmarks.figures import Figure, report
from benchmarks.train.contestants import run_job
from benchmarks.train.data import BUILD, write_data
from benchmarks.train.driver_memory import GRANTED_MB

ROWS = 5_000_000
VALIDATION_ROWS, TEST_ROWS = 50_000, 100_000


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--driver-memory", default="1g")
    parser.add_argument(
        "--executor-mb", type=int, default=4096, help="each of two executors, of one core each"
    )
    arguments = parser.parse_args()
    work = BUILD / "train"
    files = write_data(work, train_rows=arguments.rows, validation_rows=VALIDATION_ROWS, test_rows=TEST_ROWS)
    executor_mb = arguments.executor_mb
    run = run_job(
        files,
        work,
        conf=[
            *("--master", f"local-cluster[2,1,{executor_mb}]", "--driver-memory", arguments.driver_memory),
            *("--conf", f"spark.executor.memory={executor_mb}m"),
        ],
    )
    found = json.loads((run.output / "metrics.json").read_text())
    metrics = found["metrics"]
    return report(
        "train",
        {
            "rows_trained": Figure(metrics["train"]["rows"], ROWS, "higher"),
            "driver_peak_mb_training": Figure(run.driver_mb, GRANTED_MB),
            "seconds_of_training": Figure(run.seconds),
            **{f"seconds_of_training_{name}": Figure(seconds) for name, seconds in run.steps_seconds.items()},
            "iterations": Figure(found["iterations"]),
            "auc_trained": Figure(metrics["test"]["auc"]),
        },
    )


if __name__ == "__main__":
    sys.exit(main())
