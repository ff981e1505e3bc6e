"""The RunJobFlow request of one attempt, put together.

Source: https://docs.aws.amazon.com/emr/latest/APIReference/API_RunJobFlow.html
"""

from __future__ import annotations

from typing import Any

from trainyard.job_flow.instances import instances, managed_scaling
from trainyard.job_flow.step import JobCode, bootstrap_actions, step
from trainyard.job_flow.tags import cluster_name, tags
from trainyard.portfolio import Cluster
from trainyard.training import Training


def job_flow_request(*, training: Training, attempt: int, cluster: Cluster, code: JobCode) -> dict[str, Any]:
    """The RunJobFlow request of one attempt: a cluster that runs one step and then ends itself.

    The step fails the cluster with it, the cluster does not outlive its last step, and an idle one is ended by EMR:
    three ways that hold with Airflow down.
    """
    request: dict[str, Any] = {
        "Name": cluster_name(training, attempt),
        "ReleaseLabel": cluster.release,
        "Applications": [{"Name": "Spark"}],
        "LogUri": cluster.log_uri,
        "Instances": instances(cluster),
        "Steps": [step(training, attempt, cluster=cluster, code=code)],
        "JobFlowRole": cluster.job_flow_role,
        "ServiceRole": cluster.service_role,
        "AutoTerminationPolicy": {"IdleTimeout": cluster.idle_timeout_minutes * 60},
        "VisibleToAllUsers": True,
        "Tags": tags(training, attempt, cluster),
    }
    optional = {
        "BootstrapActions": bootstrap_actions(cluster, code),
        "Configurations": _configurations(cluster),
        "EbsRootVolumeSize": cluster.root_volume_gb,
        "ManagedScalingPolicy": managed_scaling(cluster),
        "SecurityConfiguration": cluster.security_configuration,
    }
    return request | {member: value for member, value in optional.items() if value}


def _configurations(cluster: Cluster) -> list[dict[str, Any]]:
    named = {"spark-defaults": cluster.spark_defaults, **cluster.configurations}
    return [_configuration(name, dict(properties)) for name, properties in named.items() if properties]


def _configuration(name: str, properties: dict[str, str]) -> dict[str, Any]:
    if not name.endswith("-env"):
        return {"Classification": name, "Properties": properties}
    # EMR takes a script's variables in a classification within: what is exported
    exported = {"Classification": "export", "Properties": properties}
    return {"Classification": name, "Properties": {}, "Configurations": [exported]}
