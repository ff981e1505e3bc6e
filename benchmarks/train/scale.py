"""Many scored rows, measured with a small driver and executors apart from it: `python -m benchmarks.train.scale`.

Scores of two models on rows that Spark draws; a third of the rows share a score with others. What is proven is that it
ends with this memory, and that AUC is what the drawing makes it.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import math
import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import NormalDist

from benchmarks.figures import Figure, report
from benchmarks.train.driver_memory import GRANTED_MB, driver_memory

HERE = Path(__file__).parents[2]
ROWS = 50_000_000
# two classes whose scores are normal with deviation 1, 1.5 apart; that a third are rounded moves it by less
AUC, AUC_TOLERANCE = NormalDist().cdf(1.5 / math.sqrt(2)), 1e-3


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--driver-memory", default="1g")
    arguments = parser.parse_args()
    pyspark = importlib.util.find_spec("pyspark")
    assert pyspark is not None
    assert pyspark.origin is not None
    home = Path(pyspark.origin).parent
    work = HERE / "build" / "bench" / "scale"
    work.mkdir(parents=True, exist_ok=True)
    environment = {
        **{name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "JAVA_HOME")},
        "SPARK_HOME": str(home),
        "PYSPARK_PYTHON": sys.executable,
        "PYTHONPATH": str(HERE / "spark_jobs"),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "SPARK_LOCAL_DIRS": str(work / "tmp"),
        "SPARK_WORKER_DIR": str(work / "workers"),
    }
    command = [str(home / "bin" / "spark-submit"), "--master", "local-cluster[2,1,1024]"]
    command += ["--driver-memory", arguments.driver_memory, "--conf", "spark.executor.memory=1g"]
    command += ["--conf", "spark.ui.enabled=false", str(Path(__file__).with_name("measure_many.py"))]
    started = time.monotonic()
    with (
        subprocess.Popen(
            [*command, str(arguments.rows)], env=environment, text=True, stdout=subprocess.PIPE
        ) as process,
        driver_memory(process.pid) as peak,
    ):
        printed, _ = process.communicate()
    if process.returncode:
        return process.returncode
    found = json.loads(printed.splitlines()[-1])
    return report(
        "train",
        {
            "rows_scored": Figure(found["rows"], ROWS, "higher"),
            "driver_peak_mb_scoring": Figure(peak.mb, GRANTED_MB),
            "seconds_of_scoring": Figure(time.monotonic() - started),
            "auc_scored_off_drawing": Figure(abs(found["auc"] - AUC), AUC_TOLERANCE),
        },
    )


if __name__ == "__main__":
    sys.exit(main())
