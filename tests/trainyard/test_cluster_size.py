from __future__ import annotations

from typing import Any

import pytest

from trainyard.cluster_size import most_vcpus, never_fits
from trainyard.instances import Prices, UnknownInstanceTypeError
from trainyard.ledger import Limits
from trainyard.portfolio import Cluster

SMALL: dict[str, Any] = {
    "log_uri": "s3://bucket/logs/",
    "primary": {"instance_type": "m7g.large"},
    "core": {"instance_type": "m7g.xlarge", "count": 3},
}

MIXED: dict[str, Any] = {
    "instance_type": "m7g.4xlarge",
    "weights": {"m7g.4xlarge": 4},
    "count": 2,
    "on_demand_count": 1,
    "market": "SPOT",
}


@pytest.mark.parametrize(
    ("change", "vcpus"),
    [
        ({}, 2 + 3 * 4),
        ({"task": {"instance_type": "m7g.2xlarge", "count": 2}}, 2 + 3 * 4 + 2 * 8),
        ({"managed_scaling": {"minimum": 3, "maximum": 10}}, 2 + 10 * 4),
        # five units: five small ones, or three large ones, the last of which is half too much
        (
            {
                "instances": "fleets",
                "core": {
                    "instance_type": "m7g.xlarge",
                    "alternatives": ("m7g.4xlarge",),
                    "weights": {"m7g.4xlarge": 2},
                    "count": 5,
                },
            },
            2 + 3 * 16,
        ),
        # one unit on demand and one on spot: an instance each, either of which is four units
        ({"instances": "fleets", "core": MIXED}, 2 + 2 * 16),
        (
            {"instances": "fleets", "core": MIXED, "managed_scaling": {"minimum": 2, "maximum": 8}},
            2 + 3 * 16,
        ),
    ],
)
def test_the_largest_that_emr_may_make_of_it_counts(change: dict[str, Any], vcpus: int) -> None:
    assert most_vcpus(Cluster.model_validate({**SMALL, **change}), Prices()) == vcpus


def test_what_never_fits_is_told_and_what_may_is_not() -> None:
    cluster = Cluster.model_validate(SMALL)
    assert never_fits(cluster, limits=Limits(max_vcpus=14), prices=Prices()) is None
    told = never_fits(cluster, limits=Limits(max_vcpus=13), prices=Prices())
    assert told == "its cluster has up to 14 vCPUs, and max_vcpus of trainyard_account is 13"


def test_an_unknown_type_matters_only_where_vcpus_are_counted() -> None:
    cluster = Cluster.model_validate({**SMALL, "primary": {"instance_type": "m9z.large"}})
    assert never_fits(cluster, limits=Limits(max_live_clusters=1), prices=Prices()) is None
    with pytest.raises(UnknownInstanceTypeError, match="m9z"):
        never_fits(cluster, limits=Limits(max_vcpus=99), prices=Prices())
