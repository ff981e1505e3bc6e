"""The cluster that a model's training gets: EMR's words, with the rules that EMR would enforce too late.

Source: https://docs.aws.amazon.com/emr/latest/APIReference/API_RunJobFlow.html
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from trainyard.portfolio.rules import S3Folder, Text, Value, keys, refuse, says

_INSTANCE_SIZE = r"(nano|micro|small|medium|large|[0-9]*xlarge|metal(-[0-9]+xl)?)"
_SPARK_KEY = r"^spark\.\S+$"
_TAG_KEY_LENGTH = 128
_OWN_TAGS = "trainyard:"
_WEEK_MINUTES = 10_080


class InstanceGroup(Value):
    """Equal EC2 instances with one role in a cluster."""

    instance_type: str = Field(
        pattern=rf"^[a-z][a-z0-9-]*[0-9][a-z0-9-]*\.{_INSTANCE_SIZE}$",
        json_schema_extra=says("an EC2 instance type such as m7g.xlarge"),
        description="EC2 instance type.",
    )
    count: int = Field(ge=1, description="How many.")
    market: Literal["ON_DEMAND", "SPOT"] = Field(
        default="ON_DEMAND",
        description="Spot costs less and may be taken away; the training then gets a fresh cluster.",
    )


class PrimaryGroup(InstanceGroup):
    """The one instance that leads the cluster."""

    count: Literal[1] = Field(default=1, description="A training's cluster has one leader.")


def _no_own_tags(tags: dict[str, str]) -> dict[str, str]:
    for key in tags:
        if key.startswith((_OWN_TAGS, "aws:")):
            raise refuse(f"keys that start neither with {_OWN_TAGS} nor with aws:, unlike {key}")
    return tags


SparkKey = Annotated[str, Field(pattern=_SPARK_KEY)]
TagKey = Annotated[str, Field(min_length=1, max_length=_TAG_KEY_LENGTH)]
TagValue = Annotated[str, Field(max_length=256)]


class Cluster(Value):
    """One ephemeral EMR cluster: its instances, its roles, its limits."""

    release: str = Field(
        default="emr-7.13.0",
        pattern=r"^emr-([0-9]+\.[0-9]+\.[0-9]+|spark-[0-9]+\.[0-9A-Za-z.-]+)$",
        json_schema_extra=says("an EMR release such as emr-7.13.0 or emr-spark-8.0.0"),
        description="EMR release label; it decides the Spark version.",
    )
    primary: PrimaryGroup = Field(description="The instance that leads the cluster.")
    core: InstanceGroup = Field(description="The instances that learn.")
    log_uri: S3Folder = Field(description="S3 folder where EMR writes the cluster's logs.")
    job_flow_role: Text = Field(
        default="EMR_EC2_DefaultRole", description="Instance profile: what the job may do in AWS."
    )
    service_role: Text = Field(default="EMR_DefaultRole", description="What EMR itself may do in AWS.")
    subnet_id: str | None = Field(
        default=None,
        pattern=r"^subnet-[0-9a-f]{8,17}$",
        json_schema_extra=says("an EC2 subnet id such as subnet-0123456789abcdef0, or null"),
        description="EC2 subnet of the instances; null: EMR chooses one of the account's default VPC.",
    )
    key_name: Text | None = Field(default=None, description="EC2 key pair for SSH; null: nobody gets in.")
    spark_defaults: dict[SparkKey, str] = Field(
        default={},
        json_schema_extra=keys({"pattern": _SPARK_KEY, **says("a Spark property, which starts with spark.")}),
        description="Spark properties, handed on as they are written: `true` and numbers need no quotes.",
    )
    tags: Annotated[dict[TagKey, TagValue], AfterValidator(_no_own_tags)] = Field(
        default={},
        json_schema_extra=keys({"minLength": 1, "maxLength": _TAG_KEY_LENGTH}),
        description="AWS tags of the cluster and its instances, handed on as they are written.",
    )
    deadline_minutes: int = Field(
        default=180,
        ge=1,
        le=_WEEK_MINUTES,
        description="Minutes from the launch after which the job ends itself.",
    )
    idle_timeout_minutes: int = Field(
        default=15,
        ge=1,
        le=_WEEK_MINUTES,
        description="Minutes without work after which EMR ends the cluster.",
    )
