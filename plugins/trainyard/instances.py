"""vCPUs, architecture, normalized hours and on-demand list prices of EC2 instance types: one dated table.

The table holds families, not sizes: within each of these families AWS prices a size by its number of vCPUs, up to
rounding in the fourth decimal. The account's own file of types (see :func:`read_prices`) is looked up first, for other
regions, agreed prices, and types that the table lacks.

Sources: EC2 prices of us-east-1, Linux, from AWS's price list of 2026-01-19 as Karpenter's repository carries it
(github.com/aws/karpenter-provider-aws, pkg/providers/pricing/zz_generated.pricing_aws.go). Normalization factors:
https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/apply_ri.html (an xlarge counts 8).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

PRICES_DATE = date(2026, 1, 19)
PRICES_REGION = "us-east-1"

# EMR's own charge, by type, stands in no list that can be cited: of m5, c5 and r5 up to 4xlarge it is a quarter of
# the EC2 price, of larger sizes less. An estimate made with it is rather too high; a prices file has the exact one.
EMR_SHARE_OF_EC2 = 0.25

Architecture = Literal["x86_64", "arm64"]

# of families with the same sizes: the sizes, then the families with EC2's USD an hour of an xlarge
_TABLE = """
large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge
  c7i-flex 0.16958  m7i-flex 0.19152
large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge
  c5a 0.154  c5ad 0.172  m5 0.192  m5a 0.172  m5ad 0.206  m5d 0.226  m5dn 0.272  m5n 0.238
  r5 0.252  r5a 0.226  r5ad 0.262  r5b 0.298  r5d 0.288  r5dn 0.334  r5n 0.298
large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge 32xlarge
  c6i 0.17  c6id 0.2016  c6in 0.2268  i4i 0.3432  m6i 0.192  m6id 0.2373  m6idn 0.31824  m6in 0.27846
  r6i 0.252  r6id 0.3024  r6idn 0.39078  r6in 0.34866
large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge 32xlarge 48xlarge
  c6a 0.153  m6a 0.1728  r6a 0.2268
large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge 48xlarge
  c7i 0.1785  m7i 0.2016  r7i 0.2646
medium large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge
  c6g 0.136  c6gd 0.1536  c6gn 0.1728  c7g 0.145  c7gd 0.18144  c7gn 0.2496
  m6g 0.154  m6gd 0.1808  m7g 0.1632  m7gd 0.21357  r6g 0.2016  r6gd 0.2304  r7g 0.2142  r7gd 0.27216
medium large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge 48xlarge
  c8g 0.15952  c8gd 0.19596  m8g 0.17952  m8gd 0.23064  r8g 0.23564  r8gd 0.29392
medium large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge 32xlarge 48xlarge
  c7a 0.20528  m7a 0.23184  r7a 0.3043
large xlarge 2xlarge 4xlarge 9xlarge 12xlarge 18xlarge 24xlarge
  c5 0.17  c5d 0.192
large xlarge 2xlarge 4xlarge 9xlarge 18xlarge
  c5n 0.216
large xlarge 2xlarge 4xlarge 8xlarge 16xlarge
  i3 0.312  i4g 0.30888  r4 0.266
large xlarge 2xlarge 4xlarge 10xlarge 16xlarge
  m4 0.2
large xlarge 2xlarge 3xlarge 6xlarge 12xlarge 24xlarge
  i3en 0.452
"""
_GRAVITON = re.compile(r"^(a1|[a-z]+[0-9]+g[a-z]*)$")
_VCPUS_OF_AN_XLARGE = 4
# by the size in a type's name, whatever its vCPUs: small and medium ones of the t families have two
_NORMALIZED_HOURS = {"nano": 0.25, "micro": 0.5, "small": 1.0, "medium": 2.0, "large": 4.0}
_NORMALIZED_HOURS_PER_XLARGE = 8.0
_XLARGES = re.compile(r"^(?:([0-9]*)xlarge|metal-([0-9]+)xl)$")


class UnknownInstanceTypeError(ValueError):
    """An instance type is in neither table; the text says how to add it."""


class PricesError(ValueError):
    """The account's file of instance types is mistaken; the text says where."""


class InstanceType(BaseModel):
    """What one instance of a type is and costs, on demand.

    :param emr_usd_per_hour: EMR's charge on top of EC2's
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    vcpus: int = Field(ge=1)
    ec2_usd_per_hour: float = Field(ge=0)
    emr_usd_per_hour: float = Field(ge=0)

    @property
    def usd_per_hour(self) -> float:
        """All that an hour costs, without storage and transfer."""
        return self.ec2_usd_per_hour + self.emr_usd_per_hour


class _PricesFile(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    region: str
    date: date
    instance_types: dict[str, InstanceType]


@dataclass(frozen=True)
class Prices:
    """Whose prices are used: the built-in table's, or first the account's own.

    :param own: types of the account's file, by name
    """

    region: str = PRICES_REGION
    date: date = PRICES_DATE
    own: Mapping[str, InstanceType] | None = None

    def instance_type(self, name: str) -> InstanceType:
        """The type of that name, such as ``m7g.xlarge``.

        :raises UnknownInstanceTypeError: it is in neither table
        """
        own = (self.own or {}).get(name)
        if own is not None:
            return own
        family, _, size = name.partition(".")
        sizes, usd = _FAMILIES.get(family, (frozenset(), 0.0))
        if size not in sizes:
            raise UnknownInstanceTypeError(
                f"instance type {name!r} is in no table of vCPUs and prices; add it to the file that `prices` of the "
                'Airflow Variable trainyard_account names, under "instance_types": '
                f'{{"{name}": {{"vcpus": …, "ec2_usd_per_hour": …, "emr_usd_per_hour": …}}}}'
            )
        vcpus = _vcpus(size)
        ec2 = usd * vcpus / _VCPUS_OF_AN_XLARGE
        return InstanceType(
            vcpus=vcpus, ec2_usd_per_hour=round(ec2, 5), emr_usd_per_hour=round(ec2 * EMR_SHARE_OF_EC2, 5)
        )

    def normalized_hours_per_hour(self, name: str) -> float | None:
        """EMR's normalized instance hours of an instance's hour: an m1.small's.

        :return: none of a size that its name does not tell (metal), where its vCPUs are not known either
        """
        size = name.partition(".")[2]
        xlarges = _XLARGES.match(size)
        if xlarges is not None:
            return int(xlarges[1] or xlarges[2] or 1) * _NORMALIZED_HOURS_PER_XLARGE
        if size in _NORMALIZED_HOURS:
            return _NORMALIZED_HOURS[size]
        own = (self.own or {}).get(name)
        return None if own is None else own.vcpus * _NORMALIZED_HOURS_PER_XLARGE / _VCPUS_OF_AN_XLARGE


def read_prices(content: bytes, *, place: str) -> Prices:
    """The account's own instance types, from a JSON file.

    ``{"region": "eu-west-1", "date": "2026-11-01", "instance_types": {"m7g.xlarge": {"vcpus": 4,
    "ec2_usd_per_hour": 0.182, "emr_usd_per_hour": 0.0408}}}``

    :param place: where the file lies, for errors
    :raises PricesError: it is no such file
    """
    try:
        file = _PricesFile.model_validate_json(content)
    except ValidationError as error:
        mistakes = "; ".join(
            f"{'.'.join(map(str, item['loc'])) or 'it'}: {json.dumps(item['input'], default=str)[:80]} ({item['msg']})"
            for item in error.errors()
        )
        raise PricesError(f"{place}: {mistakes}; accepted: region, date and instance_types") from error
    return Prices(region=file.region, date=file.date, own=file.instance_types)


def architecture(instance_type: str) -> Architecture:
    """Of the type's processors: Graviton's families have a ``g`` after their generation."""
    family = instance_type.partition(".")[0]
    return "arm64" if _GRAVITON.match(family.partition("-")[0]) else "x86_64"


def _vcpus(size: str) -> int:
    small = {"medium": 1, "large": 2}
    return small.get(size) or int(size.removesuffix("xlarge") or 1) * _VCPUS_OF_AN_XLARGE


def _read_table(table: str) -> dict[str, tuple[frozenset[str], float]]:
    """Sizes and the price of an xlarge, by family."""
    families: dict[str, tuple[frozenset[str], float]] = {}
    sizes: frozenset[str] = frozenset()
    for line in table.strip().splitlines():
        words = line.split()
        if line.startswith(" "):
            prices = zip(words[::2], words[1::2], strict=True)
            families |= {family: (sizes, float(usd)) for family, usd in prices}
        else:
            sizes = frozenset(words)
    return families


_FAMILIES = _read_table(_TABLE)
