"""A training's attempt → the RunJobFlow request that launches its cluster. Pure: values in, a dict for boto3 out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from trainyard.portfolio import Cluster, InstanceGroup
from trainyard.training import S3Uri, Training


@dataclass(frozen=True)
class JobCode:
    """The staged code of the training job: the script and the archive of its package."""

    script: S3Uri
    py_files: S3Uri


def cluster_name(training: Training, attempt: int) -> str:
    """The one name of an attempt's cluster: what adoption and the reaper search for.

    At most 256 characters, EMR's limit, since portfolio and model names are at most 64 and a deployment id 32.
    """
    return (
        f"trainyard-{training.deployment}-{training.portfolio}-{training.model}"
        f"-{training.training_id}-attempt-{attempt}"
    )


def job_flow_request(*, training: Training, attempt: int, cluster: Cluster, code: JobCode) -> dict[str, Any]:
    """The RunJobFlow request of one attempt: a cluster that runs one step and then ends itself.

    The step fails the cluster with it, the cluster does not outlive its last step, and an idle one is ended by EMR:
    three ways that hold with Airflow down.
    Source: https://docs.aws.amazon.com/emr/latest/APIReference/API_RunJobFlow.html
    """
    request: dict[str, Any] = {
        "Name": cluster_name(training, attempt),
        "ReleaseLabel": cluster.release,
        "Applications": [{"Name": "Spark"}],
        "LogUri": cluster.log_uri,
        "Instances": _instances(cluster),
        "Steps": [_step(training, attempt, code)],
        "JobFlowRole": cluster.job_flow_role,
        "ServiceRole": cluster.service_role,
        "AutoTerminationPolicy": {"IdleTimeout": cluster.idle_timeout_minutes * 60},
        "VisibleToAllUsers": True,
        "Tags": _tags(training, attempt, cluster),
    }
    if cluster.spark_defaults:
        request["Configurations"] = [
            {"Classification": "spark-defaults", "Properties": dict(cluster.spark_defaults)}
        ]
    return request


def _instances(cluster: Cluster) -> dict[str, Any]:
    instances: dict[str, Any] = {
        "InstanceGroups": [
            _instance_group("MASTER", cluster.primary),
            _instance_group("CORE", cluster.core),
        ],
        "KeepJobFlowAliveWhenNoSteps": False,
        "TerminationProtected": False,
    }
    if cluster.subnet_id:
        instances["Ec2SubnetId"] = cluster.subnet_id
    if cluster.key_name:
        instances["Ec2KeyName"] = cluster.key_name
    return instances


def _instance_group(role: str, group: InstanceGroup) -> dict[str, Any]:
    return {
        "InstanceRole": role,
        "InstanceType": group.instance_type,
        "InstanceCount": group.count,
        "Market": group.market,
    }


def _step(training: Training, attempt: int, code: JobCode) -> dict[str, Any]:
    return {
        "Name": f"train {training.model} on {training.data_date.isoformat()}",
        "ActionOnFailure": "TERMINATE_CLUSTER",
        "HadoopJarStep": {
            "Jar": "command-runner.jar",
            "Args": [
                "spark-submit",
                "--deploy-mode",
                "cluster",
                # YARN would otherwise run a failed driver again, silently, into the same attempt
                "--conf",
                "spark.yarn.maxAppAttempts=1",
                "--py-files",
                code.py_files,
                code.script,
                "--request",
                training.request_uri(attempt),
            ],
        },
    }


def _tags(training: Training, attempt: int, cluster: Cluster) -> list[dict[str, str]]:
    ours = {
        "trainyard:deployment": training.deployment,
        "trainyard:portfolio": training.portfolio,
        "trainyard:model": training.model,
        "trainyard:data-date": training.data_date.isoformat(),
        "trainyard:run": training.run_id,
        "trainyard:training": training.training_id,
        "trainyard:attempt": str(attempt),
    }
    # ours last: a portfolio's tag must not hide what the reaper reads
    return [{"Key": key, "Value": value} for key, value in {**cluster.tags, **ours}.items()]
