"""What a cluster was asked to be made of, against what AWS's words make of it, and costs computed by hand."""

from __future__ import annotations

import json
from typing import Any

import pytest

from trainyard.costs import AskedInstances, cost_usd, make_up, normalized_instance_hours
from trainyard.instances import Prices, read_prices
from trainyard.portfolio import Cluster

MINUTE, HOUR = 60, 3600
SMALL: dict[str, Any] = {
    "log_uri": "s3://bucket/logs/",
    "primary": {"instance_type": "m5.xlarge"},
    "core": {"instance_type": "r5.2xlarge", "count": 4},
}
FLEET: dict[str, Any] = {
    "instance_type": "m5.2xlarge",
    "alternatives": ("m5.4xlarge", "m9z.8xlarge"),
    "weights": {"m5.2xlarge": 2, "m5.4xlarge": 4},
    "count": 11,
    "market": "SPOT",
    "on_demand_count": 4,
}


def asked(prices: Prices | None = None, **change: Any) -> tuple[AskedInstances, ...]:
    return make_up(Cluster.model_validate(SMALL | change), prices or Prices())


def counted(groups: tuple[AskedInstances, ...]) -> list[tuple[str, str, int, str]]:
    return [(each.role, each.instance_type, each.count, each.market) for each in groups]


def test_groups_are_what_the_portfolio_says() -> None:
    task = {"instance_type": "m5.large", "count": 2, "market": "SPOT"}
    groups = asked(task=task)
    assert counted(groups) == [
        ("MASTER", "m5.xlarge", 1, "ON_DEMAND"),
        ("CORE", "r5.2xlarge", 4, "ON_DEMAND"),
        ("TASK", "m5.large", 2, "SPOT"),
    ]
    assert [each.normalized_hours_per_hour for each in groups] == [8, 16, 4]
    assert [each.ec2_usd_per_hour for each in groups] == [0.192, 0.504, 0.096]


def test_a_fleet_is_as_many_of_its_first_type_as_fill_each_market() -> None:
    _, on_demand, spot = asked(instances="fleets", core=FLEET)
    # 4 units are 2 of weight 2; the other 7 are 4, the last of which exceeds them
    assert counted((on_demand, spot)) == [
        ("CORE", "m5.2xlarge", 2, "ON_DEMAND"),
        ("CORE", "m5.2xlarge", 4, "SPOT"),
    ]
    assert spot.alternatives == ("m5.4xlarge", "m9z.8xlarge")


def test_managed_scaling_counts_as_it_begins_and_tells_how_far_it_may_go() -> None:
    primary, core = asked(managed_scaling={"minimum": 4, "maximum": 40})
    assert (core.count, core.managed_scaling_maximum) == (4, 40)
    assert primary.managed_scaling_maximum is None


@pytest.mark.parametrize(
    ("seconds", "hours"),
    [
        # 1 m5.xlarge of 8 and 4 r5.2xlarge of 16: 72 an hour
        (-0.5, 72),
        (0, 72),
        (1, 72),
        (HOUR, 72),
        (HOUR + 0.1, 144),
        (2.5 * HOUR, 216),
    ],
)
def test_every_hour_begun_counts_whole(seconds: float, hours: float) -> None:
    assert normalized_instance_hours(asked(), seconds) == hours


def test_normalized_hours_are_those_of_emr_s_own_example() -> None:
    """Ten r3.8xlarge for an hour are 640; that type is in no table of ours."""
    ten = asked(primary={"instance_type": "r3.8xlarge"}, core={"instance_type": "r3.8xlarge", "count": 9})
    assert normalized_instance_hours(ten, HOUR) == 640
    assert cost_usd(ten, HOUR) is None


@pytest.mark.parametrize(
    ("seconds", "usd"),
    [
        # m5.xlarge: 0.192 + a quarter, 0.24; r5.2xlarge: 0.504 + 0.126 = 0.63, four of them 2.52; 2.76 an hour
        (HOUR, 2.76),
        (90 * MINUTE, 4.14),
        (100 * MINUTE, 4.6),
        # a minute is a sixtieth: 0.046; less than a minute is one
        (MINUTE, 0.046),
        (1, 0.046),
        (0, 0.046),
        (-0.5, 0.046),
        # 61 seconds: 2.76 * 61 / 3600; a second begun counts
        (61, 0.046767),
        (60.2, 0.046767),
    ],
)
def test_costs_are_by_the_second_and_of_at_least_a_minute(seconds: float, usd: float) -> None:
    assert cost_usd(asked(), seconds) == usd


def test_spot_costs_at_most_what_is_on_demand() -> None:
    spot = asked(core=SMALL["core"] | {"market": "SPOT"})
    assert spot[1].market == "SPOT"
    assert cost_usd(spot, HOUR) == 2.76


def test_a_type_without_a_price_leaves_the_cost_unknown_and_not_nothing() -> None:
    groups = asked(core={"instance_type": "m9z.2xlarge", "count": 4})
    assert cost_usd(groups, HOUR) is None
    # the size is in the name: 8 + 4 * 16
    assert normalized_instance_hours(groups, HOUR) == 72


def test_a_type_without_a_size_leaves_the_hours_unknown() -> None:
    assert normalized_instance_hours(asked(core={"instance_type": "m5.metal", "count": 1}), HOUR) is None


def test_the_account_s_own_prices_come_first() -> None:
    file = {
        "region": "eu-west-1",
        "date": "2026-11-01",
        "instance_types": {
            "m5.xlarge": {"vcpus": 4, "ec2_usd_per_hour": 0.23, "emr_usd_per_hour": 0.02},
            "m5.metal": {"vcpus": 96, "ec2_usd_per_hour": 5.0, "emr_usd_per_hour": 0.5},
        },
    }
    prices = read_prices(json.dumps(file).encode(), place="prices.json")
    groups = asked(prices, core={"instance_type": "m5.metal", "count": 2})
    # 0.25 + 2 * 5.5, half an hour of it; 8 + 2 * 192, an hour of it
    assert cost_usd(groups, 30 * MINUTE) == 5.625
    assert normalized_instance_hours(groups, 30 * MINUTE) == 392
