"""Which ends a fresh cluster may mend."""

from __future__ import annotations

import pytest

from trainyard.clusters import ClusterStatus, classify_end
from trainyard.ledger import ClusterId

YARN = (
    "diagnostics: Application application_1_0001 failed 1 times (global limit =2; local limit is =1) due to AM"
    " Container for appattempt_1_0001_000001 exited with  exitCode: "
)


def end(code: str, reason: str = "", *, error: str = "") -> ClusterStatus:
    return ClusterStatus(ClusterId("j-1"), "TERMINATED_WITH_ERRORS", code, reason, error)


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (end("INTERNAL_ERROR", "Master instance failed"), "internal_error"),
        (
            end("INSTANCE_FAILURE", "The master node was terminated by a spot interruption"),
            "instance_failure",
        ),
        (end("INSTANCE_FLEET_TIMEOUT"), "instance_fleet_timeout"),
        (
            end("BOOTSTRAP_FAILURE", "On the master instance, bootstrap action 1 returned 1"),
            "bootstrap_failure",
        ),
        (
            end("VALIDATION_ERROR", "no more", error="INTERNAL_ERROR_EC2_INSUFFICIENT_CAPACITY_AZ"),
            "no_capacity",
        ),
        (end("VALIDATION_ERROR", "Insufficient capacity for instance type m7g.large"), "no_capacity"),
        (end("INTERNAL_ERROR", error="INTERNAL_ERROR_SPOT_NO_CAPACITY_PRIMARY"), "no_capacity"),
        (
            end(
                "VALIDATION_ERROR",
                "You have requested more vCPU capacity than your current vCPU limit of 256 allows for the instance"
                " bucket that the specified instance type belongs to.",
            ),
            "account_limit",
        ),
        (
            end("VALIDATION_ERROR", "The number of instances requested exceeds your EC2 quota."),
            "account_limit",
        ),
        (end("VALIDATION_ERROR", "", error="InstanceLimitExceeded"), "account_limit"),
        (end("VALIDATION_ERROR", "MaxSpotInstanceCountExceeded: Max spot count exceeded"), "account_limit"),
        (
            end("VALIDATION_ERROR", "subnet-1 does not have enough free addresses to satisfy the request"),
            "account_limit",
        ),
        (end("VALIDATION_ERROR", "InsufficientFreeAddressesInSubnet"), "account_limit"),
        (end("VALIDATION_ERROR", "Throttled from Amazon EC2 while launching cluster"), "account_limit"),
    ],
)
def test_want_of_instances_is_mended_by_a_fresh_cluster_however_often(
    status: ClusterStatus, code: str
) -> None:
    failure = classify_end(status, unknown_before=4)
    assert (failure.code, failure.retry) == (code, True)


@pytest.mark.parametrize(
    "reason",
    [
        "The subnet subnet-1 does not exist",
        "The VPC/subnet configuration was invalid: the number of tags exceeds what is allowed",
    ],
)
def test_a_mistaken_configuration_is_not_retried(reason: str) -> None:
    failure = classify_end(end("VALIDATION_ERROR", reason), unknown_before=0)
    assert (failure.code, failure.retry) == ("validation_error", False)


@pytest.mark.parametrize(
    "log",
    [
        "java.lang.OutOfMemoryError: Java heap space",
        "Container killed by YARN for exceeding physical memory limits.",
        "Container exited with exit code: 137",
        "MemoryError",
        # of the driver itself, by Hadoop 3 and Hadoop 2
        f"{YARN}-104",
        f"{YARN}-103",
        "Container [pid=1,containerID=c_1] is running 104857600B beyond the 'PHYSICAL' memory limit.",
        "Container [pid=1,containerID=c_1] is running 104857600B beyond the 'VIRTUAL' memory limit.",
        "Container [pid=1,containerID=c_1] is running beyond physical memory limits. Current usage: 6.1 GB of 6 GB",
        "Container killed on request. Exit code is 137",
    ],
)
def test_a_want_of_memory_is_not_retried_at_the_same_size(log: str) -> None:
    failure = classify_end(end("STEP_FAILURE"), unknown_before=0, log=log)
    assert (failure.code, failure.retry) == ("out_of_memory", False)


@pytest.mark.parametrize(
    "log",
    [
        "Container released on a *lost* node",
        "ExecutorLostFailure (slave lost)",
        "Exit status: -100.",
        f"{YARN}-100",
    ],
)
def test_a_lost_node_is_retried(log: str) -> None:
    failure = classify_end(end("STEP_FAILURE"), unknown_before=4, log=log)
    assert (failure.code, failure.retry) == ("node_lost", True)


def test_an_unknown_cause_is_retried_once() -> None:
    assert classify_end(end("STEP_FAILURE"), unknown_before=0, log="KeyError: 'x'").retry
    assert not classify_end(end("STEP_FAILURE"), unknown_before=1, log="KeyError: 'x'").retry


def test_a_container_that_was_merely_ended_tells_no_cause() -> None:
    log = f"{YARN}143\nContainer killed on request. Exit code is 143"
    assert classify_end(end("STEP_FAILURE"), unknown_before=0, log=log).code == "step_failure"
