"""Many scored rows, measured with a small driver and executors apart from it: `python -m benchmarks.train.scale`.

Scores of two models on rows that Spark draws; a third of the rows share a score with others. What is proven is that it
ends with this memory, and that AUC is what the drawing makes it.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parents[2]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=50_000_000)
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
    finished = subprocess.run([*command, str(arguments.rows)], env=environment, check=False)
    print(f"{arguments.rows:,} rows: {time.monotonic() - started:.0f} s, exit {finished.returncode}")
    sys.exit(finished.returncode)


if __name__ == "__main__":
    main()
