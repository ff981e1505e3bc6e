"""vCPUs are given first come, first served, with a clock moved by hand."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from local_aws.emr.control_plane import ControlPlane, Pace
from local_aws.emr.instance_types import normalization_factor, vcpus

START = datetime(2026, 11, 23, 2, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("instance_type", "weight", "number"),
    [
        ("m5.xlarge", 8, 4),
        ("r6g.16xlarge", 128, 64),
        ("m4.large", 4, 2),
        ("m1.small", 1, 1),
        ("m5.metal", 0, None),
    ],
)
def test_sizes_are_read_from_names(instance_type: str, weight: int, number: int | None) -> None:
    assert (normalization_factor(instance_type), vcpus(instance_type)) == (weight, number)


def test_clusters_wait_for_vcpus_in_turn_and_no_small_one_overtakes() -> None:
    plane = ControlPlane(
        Pace(slots=1, provision_seconds=1, bootstrap_seconds=1, simulate_seconds=10, vcpus=12)
    )
    now = START

    def launch(cores: int) -> str:
        group = {"InstanceRole": "MASTER", "InstanceType": "m5.xlarge", "InstanceCount": cores}
        instances = {"InstanceGroups": [group], "KeepJobFlowAliveWhenNoSteps": True}
        return str(plane.run_job_flow({"Name": "c", "Instances": instances}, now).cluster_id)

    def states() -> list[str]:
        return [plane.cluster(cluster_id).state.value for cluster_id in ids]

    ids = []
    for cores in (2, 2, 1, 4):
        now += timedelta(milliseconds=1)
        ids.append(launch(cores))
    for _ in range(3):
        now += timedelta(seconds=1)
        plane.advance(now)
    # 8 of 12 are taken: the second needs 8, and the third must not pass it; the fourth never fits
    assert states() == ["WAITING", "STARTING", "STARTING", "TERMINATED_WITH_ERRORS"]
    assert plane.cluster(ids[3]).reason.code == "VALIDATION_ERROR"
    plane.terminate(plane.cluster(ids[0]), now)
    now += timedelta(seconds=1)
    plane.advance(now)
    assert states()[:3] == ["TERMINATED", "BOOTSTRAPPING", "BOOTSTRAPPING"]
