"""Every rendered RunJobFlow request is compared with a golden file; UPDATE_GOLDEN=1 writes them anew."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from trainyard.job_flow import JobCode, cluster_name, job_flow_request
from trainyard.launch_check import request_mistakes
from trainyard.portfolio import Cluster
from trainyard.training import S3Uri, Training

GOLDEN = Path(__file__).parents[1] / "golden" / "job_flow"
CODE = JobCode(
    script=S3Uri("s3://bucket/models/code/ab/train_evaluate.py"),
    py_files=S3Uri("s3://bucket/models/code/ab/training_job.zip"),
    install_wheels=S3Uri("s3://bucket/models/code/ab/install_wheels.sh"),
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
    "groups": {
        **SMALL,
        "release": "emr-spark-8.0.0",
        "core": {"instance_type": "r7g.2xlarge", "count": 4, "market": "SPOT", "ebs": {"size_gb": 64}},
        "task": {"instance_type": "r7g.xlarge", "count": 2, "market": "SPOT"},
        "managed_scaling": {"minimum": 2, "maximum": 20, "maximum_core": 4, "maximum_on_demand": 0},
        "root_volume_gb": 40,
        "job_flow_role": "our-instances",
        "service_role": "our-emr",
        "subnet_ids": ("subnet-0123456789abcdef0",),
        "security_groups": {
            "primary": "sg-0123456789abcdef0",
            "workers": "sg-0123456789abcdef1",
            "service_access": "sg-0123456789abcdef2",
            "additional_workers": ("sg-0123456789abcdef3",),
        },
        "security_configuration": "encrypted",
        "key_name": "our-key",
        "python": {"wheels": "s3://bucket/wheels/{release}/{architecture}/"},
        "bootstrap_actions": {"mount data": {"path": "s3://bucket/mount.sh", "args": ("/data",)}},
        "spark_defaults": {"spark.executor.memory": "8g"},
        "configurations": {
            "spark": {"maximizeResourceAllocation": "true"},
            "spark-env": {"OMP_NUM_THREADS": "1"},
        },
        "tags": {"team": "pricing"},
        "idle_timeout_minutes": 20,
        "maximum_age_minutes": 240,
    },
    "fleets": {
        **SMALL,
        "instances": "fleets",
        "primary": {
            "instance_type": "m7g.xlarge",
            "alternatives": ("m6g.xlarge",),
            "on_demand_allocation_strategy": "prioritized",
        },
        "core": {
            "instance_type": "r7g.2xlarge",
            "alternatives": ("r6g.2xlarge", "r7g.4xlarge"),
            "weights": {"r7g.4xlarge": 2},
            "count": 6,
            "market": "SPOT",
            "on_demand_count": 2,
            "ebs": {"volume_type": "gp3", "size_gb": 100, "iops": 4000, "throughput_mb": 250},
            "spot": {"timeout_minutes": 10, "allocation_strategy": "capacity-optimized-prioritized"},
        },
        "task": {"instance_type": "r7g.2xlarge", "count": 2, "market": "SPOT"},
        "managed_scaling": {"minimum": 6, "maximum": 12},
        "subnet_ids": ("subnet-0123456789abcdef0", "subnet-0123456789abcdef1"),
        "python": {"archive": "s3://bucket/python/{release}-{architecture}.tar.gz"},
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
    assert request_mistakes(request) == ()


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


def test_a_run_id_that_is_no_tag_is_made_one() -> None:
    training = replace(TRAINING, run_id="manual~" + "x" * 300)
    request = job_flow_request(training=training, attempt=1, cluster=Cluster.model_validate(SMALL), code=CODE)
    assert request_mistakes(request) == ()
    tags = {tag["Key"]: tag["Value"] for tag in request["Tags"]}
    assert tags["trainyard:run"] == "manual_" + "x" * 249


def test_every_golden_file_is_rendered() -> None:
    assert {path.stem for path in GOLDEN.glob("*.json")} == set(CLUSTERS)
