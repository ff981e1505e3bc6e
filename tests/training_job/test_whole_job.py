"""The job as it is submitted: a zip and a script, by spark-submit, with executors apart from the driver."""

from __future__ import annotations

import os
import subprocess
import zipfile
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from pathlib import Path
from types import MappingProxyType

import pytest

from tests.training_job.conftest import JOB_FOLDER, RequestMaker, write_rows
from trainyard.laptop.demo_data import feature_files


@pytest.fixture
def package(tmp_path: Path) -> Path:
    path = tmp_path / "training_job.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for source in sorted((JOB_FOLDER / "training_job").rglob("*.py")):
            archive.write(source, source.relative_to(JOB_FOLDER))
    return path


@pytest.fixture
def submit(
    package: Path, spark_environment: dict[str, str]
) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs spark-submit with nothing of this test's own Python path."""

    def run_spark_submit(
        request_uri: str, *, master: str, settings: Mapping[str, str] = MappingProxyType({})
    ) -> subprocess.CompletedProcess[str]:
        settings = {"spark.ui.enabled": "false", "spark.driver.bindAddress": "127.0.0.1", **settings}
        command = [f"{spark_environment['SPARK_HOME']}/bin/spark-submit", "--master", master]
        for name, value in settings.items():
            command += ["--conf", f"{name}={value}"]
        command += [
            "--py-files",
            str(package),
            str(JOB_FOLDER / "train_evaluate.py"),
            "--request",
            request_uri,
        ]
        return subprocess.run(
            command,
            env={
                "PATH": os.environ["PATH"],
                "SPARK_WORKER_DIR": str(package.parent / "workers"),
                **spark_environment,
            },
            cwd=package.parent,
            capture_output=True,
            text=True,
            timeout=500,
            check=False,
        )

    return run_spark_submit


def test_executors_apart_from_the_driver_get_all_they_need(
    submit: Callable[..., subprocess.CompletedProcess[str]], requests: RequestMaker, tmp_path: Path
) -> None:
    for name, content in feature_files("breast_cancer").items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    train, test = sorted(tmp_path.glob("train/*")), sorted(tmp_path.glob("test/*"))
    document = requests.document(train, test, num_features=30, params={"regParam": 0.01})
    ended = submit(requests.write(document), master="local-cluster[2,1,1024]")
    assert ended.returncode == 0, ended.stderr[-3000:]
    assert requests.finished(ended.returncode).test_metrics["auc"] > 0.98
    assert (requests.output / "manifest.json").exists()
    assert "load took" in ended.stdout


@pytest.mark.parametrize("master", ["local[1]", "local-cluster[1,1,1024]"])
def test_users_data_is_in_the_failure_and_in_no_log(
    submit: Callable[..., subprocess.CompletedProcess[str]],
    requests: RequestMaker,
    rows: Path,
    tmp_path: Path,
    master: str,
) -> None:
    # plain at its head, so that Spark's own reader is the one that meets the bad lines, where it may
    good = rows.read_text().splitlines() * 300
    bad = write_rows(rows.parent / "bad.libsvm", *good, "1 1:confidential", "1 3:771 2:772")
    events = tmp_path / "events"
    events.mkdir()
    settings = {"spark.eventLog.enabled": "true", "spark.eventLog.dir": events.as_uri()}
    uri = requests.write(requests.document([bad], [rows], num_features=3))
    ended = submit(uri, master=master, settings=settings)
    failure = requests.finished(ended.returncode).failure
    assert failure["code"] == "malformed_input"
    assert failure["lines"] == ["1 1:confidential", "1 3:771 2:772"]
    assert failure["place"]["line"] == len(good) + 1
    logs = [path for folder in (events, tmp_path / "workers") for path in folder.rglob("*") if path.is_file()]
    written = [ended.stdout, ended.stderr, *(path.read_text(errors="replace") for path in logs)]
    assert any("SparkListenerApplicationEnd" in text for text in written)
    for text in ("confidential", "3:771"):
        assert not [where for where in written if text in where]
    assert "malformed_input" in ended.stdout


def test_deadline_ends_a_submitted_job(
    submit: Callable[..., subprocess.CompletedProcess[str]], requests: RequestMaker, rows: Path
) -> None:
    document = requests.document([rows], [rows], num_features=3)
    document["deadline"] = datetime.now(timezone.utc).isoformat()
    ended = submit(requests.write(document), master="local[1]")
    assert requests.finished(ended.returncode).failure["code"] == "deadline_exceeded"
