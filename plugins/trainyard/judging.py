"""An attempt with a cluster → how it stands: live, ended well, or failed and why. The one place that says so.

The job's own word comes first, then EMR's. Clients are handed in.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from trainyard import clusters
from trainyard.clusters import Failure
from trainyard.ledger import Attempt, ClusterId
from trainyard.publishing import read_failure

# What the job says of itself that a fresh cluster may mend; all else it says is about its data or its settings.
_RETRIED = frozenset({"deadline_exceeded"})


@dataclass(frozen=True)
class Verdict:
    """How an attempt stands.

    :param live: its cluster may still do its work; ``failure`` is none then
    :param failure: none where it is live or ended well
    """

    live: bool
    failure: Failure | None = None


def judge(attempt: Attempt, *, emr: Any, s3: Any) -> Verdict:
    """How the attempt stands; it must have a cluster.

    :param emr: a boto3 EMR client
    :param s3: a boto3 S3 client
    """
    cluster_id = ClusterId(str(attempt.cluster_id))
    status = clusters.describe(emr, cluster_id)
    if not status.ended:
        return Verdict(live=True)
    if status.succeeded:
        return Verdict(live=False)
    told = read_failure(s3, attempt.output_uri)
    if told is not None:
        place = f" ({told.place})" if told.place else ""
        sentence = f"{told.sentence}{place} [cluster {cluster_id}]"
        return Verdict(live=False, failure=Failure(told.code, sentence, retry=told.code in _RETRIED))
    step = clusters.step_failure(emr, cluster_id)
    return Verdict(live=False, failure=clusters.classify_end(status, attempt=attempt.attempt, step=step))
