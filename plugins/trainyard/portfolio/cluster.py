"""The cluster that a model's training gets: EMR's words, with the rules that EMR would enforce too late.

Source: https://docs.aws.amazon.com/emr/latest/APIReference/API_RunJobFlow.html
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, ValidationInfo, field_validator

from trainyard.instances import architecture
from trainyard.portfolio.instances import InstanceGroup, PrimaryGroup, WorkerGroup
from trainyard.portfolio.rules import ClusterPath, S3Folder, S3Object, Text, Value, keys, refuse, says
from trainyard.portfolio.security import SecurityGroups, SubnetId

_SPARK_KEY = r"^spark\.\S+$"
_CLASSIFICATION = r"^[a-z][a-z0-9.-]*$"
_TAG_KEY_LENGTH = 128
_TAG_CHARACTERS = r"^[\w\s_.:/=+\-@]*$"
# of the 50 that EMR takes; the others are ours
_MOST_TAGS = 40
_OWN_TAGS = "trainyard:"
_FLEETS_HAVE = "several types, weights, a part on-demand, or how it gets its instances"
_WEEK_MINUTES = 10_080
# their own Python is 3.7 at most
_OLD_RELEASES = tuple(f"emr-{major}." for major in range(7))
# An overdue cluster has had this long beyond the job's own deadline to provision and to end by itself.
GRACE_MINUTES = 30


def _no_own_tags(tags: dict[str, str]) -> dict[str, str]:
    for key in tags:
        if key.startswith((_OWN_TAGS, "aws:")):
            raise refuse(f"keys that start neither with {_OWN_TAGS} nor with aws:, unlike {key}")
    if len(tags) > _MOST_TAGS:
        raise refuse(f"at most {_MOST_TAGS} tags")
    return tags


def _no_spark_defaults(configurations: dict[str, dict[str, str]]) -> dict[str, dict[str, str]]:
    if "spark-defaults" in configurations:
        raise refuse("classifications other than spark-defaults, which the field spark_defaults is")
    return configurations


SparkKey = Annotated[str, Field(pattern=_SPARK_KEY)]
Classification = Annotated[str, Field(pattern=_CLASSIFICATION)]
TagKey = Annotated[str, Field(min_length=1, max_length=_TAG_KEY_LENGTH, pattern=_TAG_CHARACTERS)]
TagValue = Annotated[
    str,
    Field(
        max_length=256,
        pattern=_TAG_CHARACTERS,
        json_schema_extra=says("at most 256 letters, digits, spaces and _ . : / = + - @"),
    ),
]


class ManagedScaling(Value):
    """Bounds within which EMR itself adds and removes workers; of fleets, in units of capacity."""

    minimum: int = Field(ge=1, description="Workers that are always there.")
    maximum: int = Field(
        ge=1, description="Workers that are there at most; caps of the account count them all."
    )
    maximum_core: int | None = Field(
        default=None, ge=1, description="Of them, core ones at most; null: all may be."
    )
    maximum_on_demand: int | None = Field(
        default=None, ge=0, description="Of them, on-demand ones at most; null: all may be."
    )

    @field_validator("maximum")
    @classmethod
    def _at_least_minimum(cls, maximum: int, info: ValidationInfo) -> int:
        minimum = info.data.get("minimum")
        if minimum is not None and maximum < minimum:
            raise refuse(f"a whole number of at least {minimum}, the minimum")
        return maximum

    @field_validator("maximum_core", "maximum_on_demand")
    @classmethod
    def _part_of_maximum(cls, part: int | None, info: ValidationInfo) -> int | None:
        maximum = info.data.get("maximum")
        if part is not None and maximum is not None and part > maximum:
            raise refuse(f"a whole number of at most {maximum}, the maximum, or null")
        return part


class BootstrapAction(Value):
    """A script that EMR runs on every instance before Spark starts."""

    path: S3Object = Field(description="The script.")
    args: tuple[str, ...] = Field(default=(), description="Its arguments.")


class Python(Value):
    """Where the job's Python packages (numpy) come from; nothing of it needs the internet."""

    archive: ClusterPath | None = Field(
        default=None,
        description="A packed environment (.tar.gz, as venv-pack and conda-pack make) with python in its bin folder;"
        " driver and executors run on it.",
    )
    wheels: ClusterPath | None = Field(
        default=None,
        description="A folder of wheels that a bootstrap action of ours installs for the release's own Python.",
    )

    @field_validator("wheels")
    @classmethod
    def _one_of_both(cls, wheels: str | None, info: ValidationInfo) -> str | None:
        if wheels is not None and info.data.get("archive") is not None:
            raise refuse("null, since archive is given: packages come from one of the two")
        if wheels is not None and not wheels.endswith("/"):
            raise refuse("a folder, which ends in /")
        return wheels


class Cluster(Value):
    """One ephemeral EMR cluster: its instances, its roles, its limits."""

    release: str = Field(
        default="emr-7.13.0",
        pattern=r"^emr-([0-9]+\.[0-9]+\.[0-9]+|spark-[0-9]+\.[0-9A-Za-z.-]+)$",
        json_schema_extra=says("an EMR release such as emr-7.13.0 or emr-spark-8.0.0"),
        description="EMR release label; it decides the Spark version.",
    )
    primary: PrimaryGroup = Field(description="The instance that leads the cluster.")
    core: WorkerGroup = Field(description="The instances that learn.")
    task: WorkerGroup | None = Field(
        default=None,
        description="More instances that learn, without HDFS: for spot beside on-demand core ones.",
    )
    instances: Literal["groups", "fleets"] = Field(
        default="groups",
        validate_default=True,
        description="EMR's instance groups, of one type each, or its instance fleets, which may have several and"
        " fall back from spot to on-demand.",
    )
    managed_scaling: ManagedScaling | None = Field(
        default=None, description="Lets EMR change the number of workers; null: it stays."
    )
    root_volume_gb: int | None = Field(
        default=None, ge=15, le=100, description="GiB of each instance's root volume; null: EMR's own."
    )
    log_uri: S3Folder = Field(description="S3 folder where EMR writes the cluster's logs.")
    job_flow_role: Text = Field(
        default="EMR_EC2_DefaultRole", description="Instance profile: what the job may do in AWS."
    )
    service_role: Text = Field(default="EMR_DefaultRole", description="What EMR itself may do in AWS.")
    subnet_ids: tuple[SubnetId, ...] = Field(
        default=(),
        json_schema_extra=says("a list of EC2 subnet ids such as [subnet-0123456789abcdef0]"),
        description="EC2 subnets; of several, which only fleets may have, EMR takes the one with most capacity."
        " None: one of the account's default VPC.",
    )
    security_groups: SecurityGroups = Field(
        default=SecurityGroups(), description="EC2 security groups; none: EMR makes its own."
    )
    security_configuration: Text | None = Field(
        default=None, description="EMR security configuration, by name: encryption, instance metadata."
    )
    key_name: Text | None = Field(default=None, description="EC2 key pair for SSH; null: nobody gets in.")
    python: Python = Field(
        default=Python(),
        validate_default=True,
        description="Where the job's Python packages come from; nothing: the release's own, which must have numpy.",
    )
    bootstrap_actions: dict[Annotated[str, Field(max_length=200)], BootstrapAction] = Field(
        default={},
        max_length=15,
        json_schema_extra=says("a mapping of names to path and args"),
        description="Scripts that run on every instance before Spark starts, by name, in order.",
    )
    spark_defaults: dict[SparkKey, str] = Field(
        default={},
        json_schema_extra=keys({"pattern": _SPARK_KEY, **says("a Spark property, which starts with spark.")}),
        description="Spark properties, handed on as they are written: `true` and numbers need no quotes.",
    )
    configurations: Annotated[dict[Classification, dict[str, str]], AfterValidator(_no_spark_defaults)] = (
        Field(
            default={},
            json_schema_extra=keys(
                {"pattern": _CLASSIFICATION, **says("an EMR classification such as yarn-site")}
            ),
            description="Properties of other EMR classifications, such as yarn-site; of spark-env and the like, what is"
            " exported.",
        )
    )
    tags: Annotated[dict[TagKey, TagValue], AfterValidator(_no_own_tags)] = Field(
        default={},
        json_schema_extra=keys({"minLength": 1, "maxLength": _TAG_KEY_LENGTH, "pattern": _TAG_CHARACTERS}),
        description="AWS tags of the cluster and its instances, handed on as they are written.",
    )
    connection: Text | None = Field(
        default=None,
        description="Airflow connection to the AWS account that runs the cluster, such as one with a role_arn;"
        " null: connections.aws.",
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
    maximum_age_minutes: int | None = Field(
        default=None,
        le=2 * _WEEK_MINUTES,
        description="Minutes from its creation after which the reaper ends it, whoever owns it; null: an hour and a"
        " half more than deadline_minutes.",
    )

    @field_validator("instances")
    @classmethod
    def _fleets_where_needed(cls, instances: str, info: ValidationInfo) -> str:
        for role in ("primary", "core", "task"):
            group = info.data.get(role)
            if instances == "groups" and group is not None and group.needs_fleet:
                raise refuse(f"fleets, since {role} asks for what only a fleet has: {_FLEETS_HAVE}")
        return instances

    @field_validator("managed_scaling")
    @classmethod
    def _room_for_its_workers(
        cls, scaling: ManagedScaling | None, info: ValidationInfo
    ) -> ManagedScaling | None:
        workers = sum(group.count for name in ("core", "task") if (group := info.data.get(name)))
        if scaling is not None and scaling.maximum < workers:
            raise refuse(f"a maximum of at least {workers}, the workers that core and task begin with")
        return scaling

    @field_validator("subnet_ids")
    @classmethod
    def _one_subnet_for_groups(cls, subnet_ids: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        if len(subnet_ids) > 1 and info.data.get("instances") == "groups":
            raise refuse("one subnet, since only fleets choose among several")
        return subnet_ids

    @field_validator("python")
    @classmethod
    def _one_architecture(cls, python: Python, info: ValidationInfo) -> Python:
        groups = [group for role in ("primary", "core", "task") if (group := info.data.get(role))]
        kinds = {architecture(name) for group in groups for name in group.instance_types}
        if len(kinds) > 1 and (python.archive or python.wheels):
            raise refuse(
                "no archive and no wheels where instance types are of two architectures, x86_64 and arm64"
            )
        return python

    @field_validator("python")
    @classmethod
    def _new_enough_for_the_job(cls, python: Python, info: ValidationInfo) -> Python:
        release = info.data.get("release", "")
        if release.startswith(_OLD_RELEASES) and python.archive is None:
            raise refuse(
                f"an archive with Python 3.9 or later, which the job needs and {release} does not have"
            )
        return python

    @field_validator("maximum_age_minutes")
    @classmethod
    def _after_the_deadline(cls, maximum: int | None, info: ValidationInfo) -> int | None:
        deadline = info.data.get("deadline_minutes")
        if maximum is not None and deadline is not None and maximum < deadline + GRACE_MINUTES:
            raise refuse(
                f"at least {deadline + GRACE_MINUTES}, {GRACE_MINUTES} more than deadline_minutes, or null"
            )
        return maximum

    @property
    def groups(self) -> dict[str, InstanceGroup]:
        """Its groups or fleets, by EMR's name of their role."""
        groups: dict[str, InstanceGroup] = {"MASTER": self.primary, "CORE": self.core}
        return groups if self.task is None else {**groups, "TASK": self.task}

    @property
    def most_minutes(self) -> int:
        """Minutes after which it is over age."""
        return self.maximum_age_minutes or self.deadline_minutes + 90
