"""Every rendered RunJobFlow request is compared with a golden file; UPDATE_GOLDEN=1 writes them anew."""

from __future__ import annotations

import json
import os
from datetime import date
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.validate import ParamValidator

from trainyard.job_flow import JobCode, cluster_name, job_flow_request
from trainyard.portfolio import Cluster
from trainyard.training import S3Uri, Training

GOLDEN = Path(__file__).parents[1] / "golden" / "job_flow"
CODE = JobCode(
    script=S3Uri("s3://bucket/models/code/ab/train_evaluate.py"),
    py_files=S3Uri("s3://bucket/models/code/ab/training_job.zip"),
)
TRAINING = Training(
    deployment="laptop",
    portfolio="demo",
    model="hotels",
    data_date=date(2026, 11, 22),
    dag_id="demo",
    run_id="scheduled__2026-11-23T01:00:00+00:00",
    output_root="s3://bucket/models",
)
SMALL: dict[str, Any] = {
    "primary": {"instance_type": "m7g.xlarge"},
    "core": {"instance_type": "r7g.2xlarge", "count": 2},
    "log_uri": "s3://bucket/logs/",
}
CLUSTERS: dict[str, dict[str, Any]] = {
    "least": SMALL,
    "everything": {
        **SMALL,
        "release": "emr-spark-8.0.0",
        "core": {"instance_type": "r7g.2xlarge", "count": 4, "market": "SPOT"},
        "job_flow_role": "our-instances",
        "service_role": "our-emr",
        "subnet_id": "subnet-0123456789abcdef0",
        "key_name": "our-key",
        "spark_defaults": {"spark.executor.memory": "8g"},
        "tags": {"team": "pricing"},
        "idle_timeout_minutes": 20,
    },
}


@pytest.mark.parametrize("name", CLUSTERS)
def test_the_request_is_the_golden_one_and_one_that_emr_knows(name: str) -> None:
    cluster = Cluster.model_validate(CLUSTERS[name])
    request = job_flow_request(training=TRAINING, attempt=2, cluster=cluster, code=CODE)
    golden = GOLDEN / f"{name}.json"
    if os.environ.get("UPDATE_GOLDEN"):
        golden.write_text(json.dumps(request, indent=2) + "\n")
    assert request == json.loads(golden.read_text())
    shape = boto3.client("emr", region_name="us-east-1").meta.service_model.operation_model("RunJobFlow")
    assert not ParamValidator().validate(request, shape.input_shape).has_errors()


def test_a_portfolio_s_tag_cannot_hide_one_that_the_reaper_reads() -> None:
    # a portfolio's own validation refuses these two already
    hiding = {"team": "a", "trainyard:deployment": "another", "trainyard:attempt": "9"}
    cluster = Cluster.model_validate(SMALL).model_copy(update={"tags": hiding})
    request = job_flow_request(training=TRAINING, attempt=1, cluster=cluster, code=CODE)
    tags = {tag["Key"]: tag["Value"] for tag in request["Tags"]}
    assert tags["trainyard:deployment"] == "laptop"
    assert tags["trainyard:attempt"] == "1"
    assert tags["team"] == "a"


def test_each_attempt_has_a_name_of_its_own() -> None:
    assert cluster_name(TRAINING, 1) != cluster_name(TRAINING, 2)
