"""The life of a cluster as EMR tells it: launch or adopt, describe, terminate. A boto3 EMR client is handed in.

The only place that knows EMR's states. Sources:
https://docs.aws.amazon.com/emr/latest/APIReference/API_ClusterStatus.html
https://docs.aws.amazon.com/emr/latest/APIReference/API_ClusterStateChangeReason.html
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError, ConnectTimeoutError, EndpointConnectionError

from trainyard.ledger import ClusterId, Listing

LIVE_STATES = ("STARTING", "BOOTSTRAPPING", "RUNNING", "WAITING")
ACTIVE_STATES = (*LIVE_STATES, "TERMINATING")
ENDED_STATES = ("TERMINATED", "TERMINATED_WITH_ERRORS")

_THROTTLED = frozenset(
    {"ThrottlingException", "Throttling", "RequestLimitExceeded", "TooManyRequestsException"}
)

# what a later call with the same request would be told again; a role that IAM does not show yet is no such thing
_REFUSED = frozenset({"ValidationException", "InvalidRequestException"})

# the most ids of one call: https://docs.aws.amazon.com/emr/latest/APIReference/API_TerminateJobFlows.html
_TERMINATED_AT_ONCE = 10

# how long a cluster may stay out of ListClusters after RunJobFlow made it
LIST_LAG_SECONDS = 120

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ClusterStatus:
    """One cluster's state, as ListClusters and DescribeCluster both give it.

    :param error_code: of EMR's first error detail, such as INTERNAL_ERROR_EC2_INSUFFICIENT_CAPACITY_AZ
    :param account: account and region, such as 123456789012/eu-west-1
    :param was_ready: whether it was ever ready to run steps
    """

    cluster_id: ClusterId
    state: str
    reason_code: str
    reason: str
    error_code: str = ""
    account: str = ""
    was_ready: bool = False

    @property
    def words(self) -> str:
        """What EMR says of it, for a person."""
        reason = self.reason or self.reason_code or "no reason given"
        error = f" ({self.error_code})" if self.error_code else ""
        return f"cluster {self.cluster_id} is {self.state}: {reason}{error}"

    @property
    def ended(self) -> bool:
        """Whether its step has had its last word; a terminating cluster runs none, once EMR says why it ends."""
        return self.state not in ACTIVE_STATES or (self.state == "TERMINATING" and bool(self.reason_code))

    @property
    def succeeded(self) -> bool:
        """Whether it ended because all its steps completed."""
        return self.ended and self.reason_code == "ALL_STEPS_COMPLETED"


@dataclass(frozen=True)
class ActiveCluster:
    """What ListClusters says of a cluster beside its state.

    :param created_at: aware
    """

    cluster_id: ClusterId
    name: str
    created_at: datetime


class LaunchRefusedError(Exception):
    """EMR refused a RunJobFlow request for what it asks; a retry would be refused as well."""


class LaunchThrottledError(Exception):
    """EMR refused a RunJobFlow request for the number of calls, before it made anything."""


@dataclass(frozen=True)
class Failure:
    """Why an attempt failed.

    :param code: from the job's ``failure.json`` or, where it left none, from EMR
    :param sentence: for a person
    :param retry: whether a fresh cluster could do better
    """

    code: str
    sentence: str
    retry: bool


def status_of(cluster: Mapping[str, Any]) -> ClusterStatus:
    """The status in an element of ListClusters, or in DescribeCluster's ``Cluster``."""
    status = cluster["Status"]
    reason = status.get("StateChangeReason", {})
    errors = status.get("ErrorDetails") or [{}]
    return ClusterStatus(
        cluster_id=ClusterId(cluster["Id"]),
        state=status["State"],
        reason_code=reason.get("Code", ""),
        reason=reason.get("Message", ""),
        error_code=errors[0].get("ErrorCode", ""),
        account=_account(cluster.get("ClusterArn", "")),
        was_ready="ReadyDateTime" in status.get("Timeline", {}),
    )


def _account(arn: str) -> str:
    """Account and region of ``arn:aws:elasticmapreduce:REGION:ACCOUNT:cluster/ID``."""
    parts = arn.split(":")
    return f"{parts[4]}/{parts[3]}" if len(parts) > 5 else ""


def describe(emr: Any, cluster_id: ClusterId) -> ClusterStatus:
    """The cluster's status now."""
    return status_of(emr.describe_cluster(ClusterId=cluster_id)["Cluster"])


def launch(emr: Any, request: Mapping[str, Any]) -> ClusterId:
    """Call RunJobFlow once.

    :param emr: a boto3 EMR client that does not resend by itself (``total_max_attempts`` 1): RunJobFlow has no
        client token, so that a resent call makes a second cluster
    :raises LaunchRefusedError: the request is at fault
    :raises LaunchThrottledError: asking again is safe
    :raises botocore.exceptions.BotoCoreError: the answer was lost, so that there may be a cluster
    """
    try:
        return ClusterId(emr.run_job_flow(**request)["JobFlowId"])
    except ClientError as error:
        answer = error.response
        sentence = f"EMR refused to launch {request['Name']}: {error}"
        code = answer.get("Error", {}).get("Code")
        if code in _THROTTLED:
            raise LaunchThrottledError(sentence) from error
        if code in _REFUSED:
            raise LaunchRefusedError(sentence) from error
        raise


def may_have_launched(error: BotoCoreError | ClientError) -> bool:
    """Whether there may be a cluster after ``launch`` raised this: EMR did not say no, and may have had the request."""
    if isinstance(error, ClientError):
        return _http_status(error) >= 500
    return not isinstance(error, (EndpointConnectionError, ConnectTimeoutError))


def active_clusters(emr: Any) -> list[ClusterStatus]:
    """The clusters of the account and region that hold instances, whoever launched them."""
    pages = emr.get_paginator("list_clusters").paginate(ClusterStates=list(ACTIVE_STATES))
    return [status_of(cluster) for page in pages for cluster in page["Clusters"]]


def listing_of(aws_conn_id: str, began_at: datetime, active: Iterable[ClusterStatus]) -> Listing:
    """What a whole listing of the active clusters says of the account and region."""
    listed = list(active)
    account = next((status.account for status in listed if status.account), None)
    return Listing(aws_conn_id, began_at, frozenset(status.cluster_id for status in listed), account)


def live_clusters(emr: Any) -> list[ActiveCluster]:
    """The clusters of the account and region that do not end yet."""
    pages = emr.get_paginator("list_clusters").paginate(ClusterStates=list(LIVE_STATES))
    return [
        ActiveCluster(
            ClusterId(cluster["Id"]), cluster["Name"], cluster["Status"]["Timeline"]["CreationDateTime"]
        )
        for page in pages
        for cluster in page["Clusters"]
    ]


def tags_of(emr: Any, cluster_id: ClusterId) -> dict[str, str]:
    """The cluster's tags, which no list tells."""
    tags = emr.describe_cluster(ClusterId=cluster_id)["Cluster"].get("Tags", ())
    return {tag["Key"]: tag.get("Value", "") for tag in tags}


def find_by_name(
    emr: Any,
    name: str,
    *,
    created_after: datetime,
    seconds: float,
    interval_seconds: float = 10,
    sleep: Callable[[float], None] = time.sleep,
) -> ClusterStatus | None:
    """The cluster of that name, in whatever state, searched for until ``seconds`` have passed.

    Needed only where a launch was begun and its answer was lost: EMR's list may lag behind RunJobFlow.

    :param created_after: bounds the pages that are read; earlier than the launch by any difference of clocks
    """
    deadline = time.monotonic() + seconds
    while True:
        pages = emr.get_paginator("list_clusters").paginate(CreatedAfter=created_after)
        for page in pages:
            for cluster in page["Clusters"]:
                if cluster["Name"] == name:
                    return status_of(cluster)
        if time.monotonic() + interval_seconds > deadline:
            return None
        sleep(interval_seconds)


def terminate(emr: Any, cluster_id: ClusterId) -> None:
    """Ask EMR to terminate the cluster; one that is gone already is no error."""
    emr.terminate_job_flows(JobFlowIds=[cluster_id])
    log.info("asked EMR to terminate cluster %s", cluster_id)


def terminate_all(
    emr: Any, cluster_ids: Sequence[ClusterId], *, seconds: float, sleep: Callable[[float], None] = time.sleep
) -> frozenset[ClusterId]:
    """Ask EMR to terminate many clusters, as few calls as it takes; those that it took.

    :param seconds: how long, over all of them, throttling and lost connections are waited out
    """
    give_up = time.monotonic() + seconds
    ended: set[ClusterId] = set()
    for first in range(0, len(cluster_ids), _TERMINATED_AT_ONCE):
        some = cluster_ids[first : first + _TERMINATED_AT_ONCE]
        ended |= _terminate_some(emr, some, give_up=give_up, sleep=sleep)
    return frozenset(ended)


def _terminate_some(
    emr: Any, cluster_ids: Sequence[ClusterId], *, give_up: float, sleep: Callable[[float], None]
) -> set[ClusterId]:
    delay_seconds = 1.0
    while True:
        try:
            emr.terminate_job_flows(JobFlowIds=list(cluster_ids))
            log.info("asked EMR to terminate %s", ", ".join(cluster_ids))
            return set(cluster_ids)
        except (BotoCoreError, ClientError) as error:
            if not _passes(error) and len(cluster_ids) > 1:
                # one that EMR refuses must not keep the others
                alone = (_terminate_some(emr, [each], give_up=give_up, sleep=sleep) for each in cluster_ids)
                return set().union(*alone)
            if not _passes(error) or time.monotonic() + delay_seconds > give_up:
                log.exception("%s could not be terminated; the reaper will", ", ".join(cluster_ids))
                return set()
        sleep(delay_seconds)
        delay_seconds = min(2 * delay_seconds, 15)


def _passes(error: Exception) -> bool:
    """Whether the same call may succeed later: throttled, no connection, or EMR's own trouble."""
    if not isinstance(error, ClientError):
        return True
    return error.response.get("Error", {}).get("Code") in _THROTTLED or _http_status(error) >= 500


def _http_status(error: ClientError) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def step_failure(emr: Any, cluster_id: ClusterId) -> str:
    """What EMR says of the cluster's failed step, or nothing where it says nothing."""
    try:
        steps = emr.list_steps(ClusterId=cluster_id)["Steps"]
    except (BotoCoreError, ClientError) as error:
        # the failure is already known; a detail that cannot be had must not hide it
        log.warning("the steps of cluster %s could not be listed: %s", cluster_id, error)
        return ""
    for step in steps:
        details = step["Status"].get("FailureDetails")
        if details:
            words = [f"{key} {details[key]}" for key in ("Reason", "Message", "LogFile") if details.get(key)]
            return f"step {step['Id']} ({step['Name']}): {', '.join(words)}"
    return ""


# Whether a fresh cluster may do better, by the code of the cluster's end. A failed step is judged by the job's own
# failure.json; where it left none, by what the driver's log ends with.
_INFRASTRUCTURE = frozenset(
    {"INTERNAL_ERROR", "INSTANCE_FAILURE", "INSTANCE_FLEET_TIMEOUT", "BOOTSTRAP_FAILURE"}
)
_CONFIGURATION = frozenset({"VALIDATION_ERROR"})
# EMR tells a want of capacity, too, as an error of validation or its own
_NO_CAPACITY = re.compile(
    r"insufficient.?(instance.?)?capacity|no.?capacity|spot.?(price|no.?capacity)|capacity.?not.?available",
    re.I,
)
# What other launches take up passes as they end. EMR tells it as an error of validation, in EC2's words or codes:
# https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html
_ACCOUNT_LIMIT = re.compile(
    r"vcpu (capacity|limit)|limit ?exceeded|\bquotas?\b|MaxSpotInstanceCount|free ?(ip )?addresses|throttl",
    re.I,
)
# YARN kills a container above its memory with 137 or 143 and says so, of an executor in Spark's words and of the driver
# in its own; -103 and -104 are its codes for it, and -100 that of a container whose node went away.
# https://github.com/apache/hadoop/blob/rel/release-3.4.1/hadoop-yarn-project/hadoop-yarn/hadoop-yarn-api/src/main/java/org/apache/hadoop/yarn/api/records/ContainerExitStatus.java
_OUT_OF_MEMORY = re.compile(
    r"OutOfMemoryError|MemoryError|exceeding (physical |virtual )?memory limits"
    r"|beyond (the )?'?(physical|virtual)'? memory limit"
    r"|exit(ed with)? ?(code|status)( is|:)? *(137|-10[34])\b",
    re.I,
)
_NODE_LOST = re.compile(r"lost\*? node|slave lost|node ?lost|exit ?(code|status):? *-100\b|worker lost", re.I)


# codes of ends that tell no cause
_UNKNOWN = frozenset({"unknown", "step_failure", "user_request"})


def tells_no_cause(failure_code: str | None) -> bool:
    """Whether an attempt that ended so ended for an unknown cause."""
    return failure_code in _UNKNOWN


def classify_end(status: ClusterStatus, *, unknown_before: int, step: str = "", log: str = "") -> Failure:
    """The failure of a cluster that did not end well and whose job left no ``failure.json``.

    Infrastructure is retried; a mistaken configuration is not, nor is a want of memory, which the same size would meet
    again; an unknown cause is retried once.

    :param unknown_before: how many earlier attempts ended for an unknown cause
    :param step: what EMR says of the failed step
    :param log: the ends of the driver's and the step's logs
    """
    code = (status.reason_code or "unknown").lower()
    sentence = f"cluster {status.cluster_id} ended as {status.state}: {status.reason or code}"
    if status.error_code:
        sentence = f"{sentence} ({status.error_code})"
    if step:
        sentence = f"{sentence}; {step}"
    for passing, words in (("no_capacity", _NO_CAPACITY), ("account_limit", _ACCOUNT_LIMIT)):
        if words.search(f"{status.error_code} {status.reason}"):
            return Failure(passing, sentence, retry=True)
    if status.reason_code in _INFRASTRUCTURE:
        return Failure(code, sentence, retry=True)
    if status.reason_code in _CONFIGURATION:
        return Failure(code, sentence, retry=False)
    if _OUT_OF_MEMORY.search(f"{step} {log}"):
        return Failure("out_of_memory", f"{sentence}; its logs tell of a want of memory", retry=False)
    if _NODE_LOST.search(f"{step} {log}"):
        return Failure("node_lost", f"{sentence}; its logs tell of a lost node", retry=True)
    return Failure(code if code in _UNKNOWN else "unknown", sentence, retry=unknown_before == 0)
