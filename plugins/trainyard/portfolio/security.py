"""Where a cluster stands in its network: EC2 subnets and security groups.

Source: https://docs.aws.amazon.com/emr/latest/ManagementGuide/emr-man-sec-groups.html
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, ValidationInfo, field_validator

from trainyard.portfolio.rules import Value, refuse, says

SubnetId = Annotated[
    str,
    Field(
        pattern=r"^subnet-[0-9a-f]{8,17}$",
        json_schema_extra=says("an EC2 subnet id such as subnet-0123456789abcdef0"),
    ),
]
SecurityGroupId = Annotated[
    str,
    Field(
        pattern=r"^sg-[0-9a-f]{8,17}$",
        json_schema_extra=says("an EC2 security group id such as sg-0123456789abcdef0"),
    ),
]
_A_LIST = says("a list of EC2 security group ids such as [sg-0123456789abcdef0]")


class SecurityGroups(Value):
    """EC2 security groups of the cluster's instances."""

    primary: SecurityGroupId | None = Field(
        default=None, description="EMR-managed group of the primary instance; given with workers."
    )
    workers: SecurityGroupId | None = Field(
        default=None,
        validate_default=True,
        description="EMR-managed group of the others; given with primary.",
    )
    service_access: SecurityGroupId | None = Field(
        default=None, description="Group by which EMR reaches a private subnet."
    )
    additional_primary: tuple[SecurityGroupId, ...] = Field(
        default=(), json_schema_extra=_A_LIST, description="Further groups of the primary instance."
    )
    additional_workers: tuple[SecurityGroupId, ...] = Field(
        default=(), json_schema_extra=_A_LIST, description="Further groups of the others."
    )

    @field_validator("workers")
    @classmethod
    def _both_or_none(cls, workers: str | None, info: ValidationInfo) -> str | None:
        if "primary" in info.data and (workers is None) != (info.data["primary"] is None):
            raise refuse("a group where primary has one, and none where it has none")
        return workers
