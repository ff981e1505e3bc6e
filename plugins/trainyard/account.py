"""The settings that belong to the AWS account and to no portfolio: the Airflow Variable ``trainyard_account``."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from trainyard.ledger import Limits, Pace

ACCOUNT_VARIABLE = "trainyard_account"
_DEPLOYMENT_ID = r"^[a-z][a-z0-9-]{0,31}$"
_EXPECTED = f'expected a JSON object such as {{"deployment": "production"}}, the id matching {_DEPLOYMENT_ID}'


class AccountError(Exception):
    """The Airflow Variable ``trainyard_account`` is missing or mistaken."""


class Account(BaseModel):
    """What belongs to the AWS account and to no portfolio.

    :param deployment: id of this Airflow installation; two deployments never touch each other's clusters
    :param max_live_clusters: clusters that may be live at once, others' included; none: no cap
    :param max_vcpus: vCPUs that ours may have at once; none: no cap
    :param launches_per_minute: pace of RunJobFlow; none: as fast as they come. EMR's own default quota is 30
    :param launch_burst: launches that may follow each other at once after a pause. EMR's own default quota is 10
    :param poll_calls_per_minute: EMR calls a minute of the poll that all waiting trainings share
    :param prices: file of instance types, a path on Airflow's machines or an S3 location (docs/account.md)
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    deployment: str = Field(pattern=_DEPLOYMENT_ID)
    max_live_clusters: int | None = Field(default=None, ge=1)
    max_vcpus: int | None = Field(default=None, ge=1)
    launches_per_minute: float | None = Field(default=30, gt=0, le=6_000)
    launch_burst: int = Field(default=10, ge=1)
    poll_calls_per_minute: float = Field(default=30, gt=0, le=30)
    prices: str | None = Field(default=None, min_length=1)

    @property
    def limits(self) -> Limits:
        return Limits(max_live_clusters=self.max_live_clusters, max_vcpus=self.max_vcpus)

    @property
    def pace(self) -> Pace | None:
        if self.launches_per_minute is None:
            return None
        return Pace(per_minute=self.launches_per_minute, burst=self.launch_burst)


def read_account(value: str | None) -> Account:
    """The settings in the Variable's text.

    :param value: none: the Variable is not set
    :raises AccountError: with what is accepted
    """
    if value is None:
        raise AccountError(f"the Airflow Variable {ACCOUNT_VARIABLE} is not set; {_EXPECTED}")
    try:
        return Account.model_validate_json(value)
    except ValidationError as error:
        mistakes = "; ".join(
            f"{'.'.join(map(str, item['loc'])) or 'it'}: {item['input']!r} ({item['msg']})"
            for item in error.errors()
        )
        raise AccountError(f"the Airflow Variable {ACCOUNT_VARIABLE}: {mistakes}; {_EXPECTED}") from error
