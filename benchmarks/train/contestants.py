"""Who is timed: the job as it is submitted, and two peers; each a process of its own from start to files written."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.train.data import NUM_FEATURES, DataFiles
from benchmarks.train.driver_memory import driver_memory
from local_aws.steps.java import find_java
from local_aws.steps.sparks import find_sparks

HERE = Path(__file__).parent
JOB = Path(__file__).parents[2] / "spark_jobs"
REG_PARAM = 1e-4
# what four times the rows take twice, as rows and as blocks of MLlib, and stay in memory; of the peer as well
DRIVER_MEMORY = "6g"
STEP = re.compile(r"INFO (\w+) took ([\d.]+) s")


@dataclass(frozen=True)
class Run:
    """One finished process.

    :param seconds: from its start to its end
    :param processor_seconds: of all its processes; unlike ``seconds``, other work on the machine hardly changes them
    :param output: the folder it wrote
    :param driver_mb: the most memory that it held, without executors apart from it
    """

    seconds: float
    processor_seconds: float
    output: Path
    log: str
    driver_mb: float

    @property
    def steps_seconds(self) -> dict[str, float]:
        """The job's own steps, as it logs them."""
        return {name: float(seconds) for name, seconds in STEP.findall(self.log)}


def run_job(
    files: DataFiles, work: Path, *, java_options: Sequence[str] = (), conf: Sequence[str] = ()
) -> Run:
    """Trainyard's job: its zip, its script, its request."""
    output = _fresh(work / "job")
    package = work / "training_job.zip"
    with zipfile.ZipFile(package, "w", zipfile.ZIP_DEFLATED) as archive:
        for source in sorted((JOB / "training_job").rglob("*.py")):
            archive.write(source, source.relative_to(JOB))
    request = output / "request.json"
    request.write_text(json.dumps(request_document(files, output)))
    options = ["--py-files", str(package), *conf]
    if java_options:
        options += ["--driver-java-options", " ".join(java_options)]
    return _spark_submit([*options, str(JOB / "train_evaluate.py"), "--request", request.as_uri()], output)


def run_rdd_workflow(files: DataFiles, work: Path) -> Run:
    output = _fresh(work / "rdd")
    held_out = ",".join(path.as_uri() for path in files.held_out)
    arguments = [files.train.as_uri(), held_out, output.as_uri()]
    return _spark_submit([str(HERE / "rdd_workflow.py"), *arguments], output)


def run_sklearn_workflow(files: DataFiles, work: Path) -> Run:
    output = _fresh(work / "sklearn")
    arguments = [str(NUM_FEATURES), str(REG_PARAM), str(output), str(files.train), *map(str, files.held_out)]
    return _timed([sys.executable, str(HERE / "sklearn_workflow.py"), *arguments], output, dict(os.environ))


def request_document(files: DataFiles, output: Path) -> dict[str, Any]:
    return {
        "format_version": 2,
        "training": {
            "deployment": "bench",
            "portfolio": "bench",
            "model": "bookings",
            "data_date": "2026-11-22",
            "training_id": "0123456789abcdef",
            "attempt": 1,
        },
        "inputs": {
            "format": "libsvm",
            "train": _listed(files.train),
            "validation": _listed(files.validation),
            "test": _listed(files.test),
            "split": None,
            "max_bad_lines": 0,
            "negatives_kept": {},
        },
        "num_features": NUM_FEATURES,
        "feature_space": "bench-v1",
        "label_mapping": {"0": 0, "1": 1},
        "group_key": None,
        "learner": {
            "name": "LogisticRegression",
            "params": {"regParam": REG_PARAM, "standardization": False, "maxIter": 100},
        },
        "imbalance": {"negatives_kept": 1.0, "class_weights": None},
        "calibration": "platt",
        "threshold": {"rule": "best_f_beta", "beta": 1.0},
        "evaluation": {},
        "champion": None,
        "best_recent": None,
        "output": output.as_uri() + "/",
        "deadline": "2100-01-01T00:00:00+00:00",
        "lineage": {},
    }


def _listed(path: Path) -> list[dict[str, Any]]:
    return [{"uri": f"file://{path}", "size": path.stat().st_size, "etag": None}]


def _spark_submit(arguments: Sequence[str], output: Path) -> Run:
    spark = next(iter(find_sparks({}, python=sys.executable).values()))
    environment = {
        **{name: value for name, value in os.environ.items() if name in ("PATH", "HOME")},
        "SPARK_HOME": str(spark.home),
        "JAVA_HOME": str(find_java(spark).home),
        "PYSPARK_PYTHON": sys.executable,
        "SPARK_LOCAL_IP": "127.0.0.1",
        "SPARK_LOCAL_DIRS": str(output.parent / "tmp"),
        # the launcher's own short-lived JVM
        "SPARK_LAUNCHER_OPTS": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
    }
    options = ["--driver-memory", DRIVER_MEMORY, "--conf", "spark.ui.enabled=false"]
    if "--master" not in arguments:
        options += ["--master", "local[2]"]
    return _timed([str(spark.home / "bin" / "spark-submit"), *options, *arguments], output, environment)


def _timed(command: Sequence[str], output: Path, environment: dict[str, str]) -> Run:
    started, processor_seconds = time.monotonic(), _processor_seconds()
    with (
        subprocess.Popen(
            command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        ) as process,
        driver_memory(process.pid) as peak,
    ):
        log, _ = process.communicate()
    seconds = time.monotonic() - started
    if process.returncode:
        sys.exit(f"{' '.join(command)} ended with {process.returncode}:\n{log[-5000:]}")
    return Run(seconds, _processor_seconds() - processor_seconds, output, log, peak.mb)


def _processor_seconds() -> float:
    """Of all processes that this one has started and that have ended."""
    times = os.times()
    return times.children_user + times.children_system


def _fresh(folder: Path) -> Path:
    """An empty folder of that name; peers refuse to write over an old one."""
    if folder.exists():
        shutil.rmtree(folder)
    if folder.name == "job":
        folder.mkdir(parents=True)
    return folder
