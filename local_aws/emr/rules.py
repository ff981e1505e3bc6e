"""What EMR demands of a request beyond its shape, and what this machine demands of a step."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from local_aws.emr.befalling import SIMULATE_TAG
from local_aws.emr.control_plane import MAX_UNFINISHED_STEPS
from local_aws.emr.errors import ValidationError
from local_aws.emr.instance_rules import check_instances
from local_aws.steps.spark import SparkArgumentError, parse_spark_submit

MAX_TAGS = 50
COMMAND_RUNNER = "command-runner.jar"
_PROGRAMS = ("spark-submit", "bash")


def check_job_flow(request: Mapping[str, Any], *, runs_steps: bool) -> None:
    """Raise ValidationError where EMR would refuse the cluster, or this machine could not run its steps.

    Source: https://docs.aws.amazon.com/emr/latest/APIReference/API_RunJobFlow.html
    """
    for member, kind in (("JobFlowRole", "InstanceProfile"), ("ServiceRole", "ServiceRole")):
        if not request.get(member):
            raise ValidationError(f"{kind} is required for creating cluster.")
    if not request.get("ReleaseLabel"):
        raise ValidationError("Must specify exactly one of the following: release label, AMI version.")
    log_uri = request.get("LogUri")
    if log_uri and not log_uri.startswith(("s3://", "s3n://", "s3a://")):
        raise ValidationError(f"LogUri {log_uri!r} is not valid: s3://<bucket>/<prefix>/ is accepted.")
    check_instances(request["Instances"])
    _check_settings(request)
    steps = request.get("Steps") or ()
    if len(steps) > MAX_UNFINISHED_STEPS:
        raise ValidationError(
            f"{len(steps)} steps are too many: at most {MAX_UNFINISHED_STEPS} are accepted."
        )
    if runs_steps:
        check_steps(steps)
    check_actions_on_failure(steps, int(request.get("StepConcurrencyLevel", 1)))


def check_steps(steps: Sequence[Mapping[str, Any]]) -> None:
    for step in steps:
        _check_step(step["Name"], step["HadoopJarStep"])


def check_actions_on_failure(steps: Sequence[Mapping[str, Any]], step_concurrency: int) -> None:
    """Steps that run side by side can only say CONTINUE.

    Source: https://docs.aws.amazon.com/emr/latest/APIReference/API_StepConfig.html (ActionOnFailure)
    """
    for step in steps:
        action = step.get("ActionOnFailure", "CONTINUE")
        if step_concurrency > 1 and action != "CONTINUE":
            raise ValidationError(
                f"ActionOnFailure {action} of step {step['Name']!r} is not valid where the StepConcurrencyLevel "
                f"is {step_concurrency}: CONTINUE is accepted."
            )


def concurrency_problem(level: int) -> str | None:
    """Source: https://docs.aws.amazon.com/emr/latest/APIReference/API_ModifyCluster.html"""
    return None if 1 <= level <= 256 else f"StepConcurrencyLevel {level} is not valid: 1 to 256 is accepted."


def check_auto_termination(policy: Mapping[str, Any]) -> None:
    """Source: https://docs.aws.amazon.com/emr/latest/APIReference/API_AutoTerminationPolicy.html"""
    seconds = policy.get("IdleTimeout")
    if seconds is None or not 60 <= seconds <= 604_800:
        raise ValidationError(f"IdleTimeout {seconds} is not valid: 60 to 604800 seconds are accepted.")


def check_managed_scaling(policy: Mapping[str, Any], instances: Mapping[str, Any]) -> None:
    """Source: https://docs.aws.amazon.com/emr/latest/APIReference/API_ComputeLimits.html"""
    limits = policy.get("ComputeLimits")
    if not limits:
        raise ValidationError("ManagedScalingPolicy.ComputeLimits is required.")
    by_fleet = bool(instances.get("InstanceFleets"))
    if (limits["UnitType"] == "InstanceFleetUnits") != by_fleet:
        accepted = "InstanceFleetUnits" if by_fleet else "Instances or VCPU"
        raise ValidationError(
            f"UnitType {limits['UnitType']} is not valid for the cluster: {accepted} is accepted."
        )
    least, most = limits["MinimumCapacityUnits"], limits["MaximumCapacityUnits"]
    if not 1 <= least <= most:
        raise ValidationError(
            f"MinimumCapacityUnits {least} is not valid: 1 to MaximumCapacityUnits ({most}) is accepted."
        )
    for name in ("MaximumCoreCapacityUnits", "MaximumOnDemandCapacityUnits"):
        if limits.get(name, 0) > most:
            raise ValidationError(
                f"{name} {limits[name]} is not valid: at most MaximumCapacityUnits ({most}) is accepted."
            )


def check_tag_count(tags: Mapping[str, str]) -> None:
    """Source: https://docs.aws.amazon.com/emr/latest/ManagementGuide/emr-plan-tags-restrictions.html"""
    if len(tags) > MAX_TAGS:
        raise ValidationError(f"{len(tags)} tags are too many: at most {MAX_TAGS} are accepted.")


def check_tags(tags: Sequence[Mapping[str, Any]]) -> None:
    """AWS's model demands no Key, EMR does (API_Tag.html: a user-defined key, required)."""
    for tag in tags:
        if not tag.get("Key"):
            raise ValidationError(f"Tag {dict(tag)} has no Key: Key and Value are accepted.")
        if tag["Key"] == SIMULATE_TAG and not re.fullmatch(r"\d{1,9}(\.\d{1,6})?", tag.get("Value", "")):
            raise ValidationError(
                f"Tag {SIMULATE_TAG} has the value {tag.get('Value', '')!r}: seconds such as 3 or 0.5 are accepted."
            )


def _check_settings(request: Mapping[str, Any]) -> None:
    problem = concurrency_problem(int(request.get("StepConcurrencyLevel", 1)))
    if problem:
        raise ValidationError(problem)
    if request.get("AutoTerminationPolicy"):
        check_auto_termination(request["AutoTerminationPolicy"])
    if request.get("ManagedScalingPolicy"):
        check_managed_scaling(request["ManagedScalingPolicy"], request["Instances"])
    tags = request.get("Tags") or ()
    check_tags(tags)
    check_tag_count({tag["Key"]: tag.get("Value", "") for tag in tags})


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
