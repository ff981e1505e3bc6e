"""What EMR demands of a request beyond its shape, and what this machine demands of a step."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from local_aws.emr.befalling import SIMULATE_TAG
from local_aws.emr.descriptions import instance_groups
from local_aws.emr.errors import ValidationError
from local_aws.steps.spark import SparkArgumentError, parse_spark_submit

COMMAND_RUNNER = "command-runner.jar"
_PROGRAMS = ("spark-submit", "bash")


def check_job_flow(request: Mapping[str, Any]) -> None:
    """Raise ValidationError where EMR would refuse the cluster, or this machine could not run its steps."""
    for member, kind in (("JobFlowRole", "InstanceProfile"), ("ServiceRole", "ServiceRole")):
        if not request.get(member):
            raise ValidationError(f"{kind} is required for creating cluster.")
    if not request.get("ReleaseLabel"):
        raise ValidationError("Must specify exactly one of the following: release label, AMI version.")
    log_uri = request.get("LogUri")
    if log_uri and not log_uri.startswith(("s3://", "s3n://", "s3a://")):
        raise ValidationError(f"LogUri {log_uri!r} is not valid: s3://<bucket>/<prefix>/ is accepted.")
    _check_instances(request["Instances"])
    check_steps(request.get("Steps") or ())
    check_tags(request.get("Tags") or ())


def check_steps(steps: Sequence[Mapping[str, Any]]) -> None:
    for step in steps:
        _check_step(step["Name"], step["HadoopJarStep"])


def check_tags(tags: Sequence[Mapping[str, Any]]) -> None:
    for tag in tags:
        if tag["Key"] == SIMULATE_TAG and not re.fullmatch(r"\d{1,9}(\.\d{1,6})?", tag.get("Value", "")):
            raise ValidationError(
                f"Tag {SIMULATE_TAG} has the value {tag.get('Value', '')!r}: seconds such as 3 or 0.5 are accepted."
            )


def _check_instances(instances: Mapping[str, Any]) -> None:
    by_type = [name for name in ("MasterInstanceType", "InstanceCount") if instances.get(name)]
    if bool(instances.get("InstanceGroups")) == bool(by_type):
        raise ValidationError(
            "Please configure instances using one and only one of the following: instance groups; "
            "instance fleets; instance count, master and slave instance type."
        )
    groups = instance_groups(instances)
    if not all(group.get("InstanceType") for group in groups):
        raise ValidationError("Instances.MasterInstanceType is required where there are no instance groups.")
    roles = [group["InstanceRole"] for group in groups]
    for role in ("MASTER", "CORE"):
        if roles.count(role) > 1 or (role == "MASTER" and not roles.count(role)):
            raise ValidationError(
                f"{roles.count(role) or 'No'} {role.lower()} instance groups supplied, you must specify "
                f"{'exactly' if role == 'MASTER' else 'at most'} one {role.lower()} instance group"
            )
    if "TASK" in roles and "CORE" not in roles:
        raise ValidationError("Clusters with task nodes must also define core nodes.")
    for group in groups:
        allowed = (1, 3) if group["InstanceRole"] == "MASTER" else range(1, 2001)
        if group["InstanceCount"] not in allowed:
            raise ValidationError(
                f"InstanceCount {group['InstanceCount']} of the {group['InstanceRole'].lower()} instance group "
                f"is not valid."
            )


def _check_step(name: str, jar_step: Mapping[str, Any]) -> None:
    if jar_step["Jar"] != COMMAND_RUNNER:
        raise ValidationError(
            f"local_aws cannot run Jar {jar_step['Jar']!r} of step {name!r}: {COMMAND_RUNNER} is accepted."
        )
    args = jar_step.get("Args") or ()
    if not args or args[0] not in _PROGRAMS:
        program = args[0] if args else "nothing"
        raise ValidationError(
            f"local_aws cannot run {program!r} in step {name!r}: "
            f"{COMMAND_RUNNER} runs {' and '.join(_PROGRAMS)} here."
        )
    if args[0] == "spark-submit":
        try:
            parse_spark_submit(args[1:])
        except SparkArgumentError as problem:
            raise ValidationError(f"Args of step {name!r}: {problem}") from problem
