"""An attempt with a cluster → how it stands: live, ended well, or failed and why. The one place that says so.

The job's own word comes first, then EMR's. Clients are handed in.
"""

from __future__ import annotations

from collections.abc import Sequence
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
    :param log_may_tell: whether the job itself left no word, and its cluster was ready for the step that has a log
    :param emr_words: what EMR says of the cluster and its step
    """

    live: bool
    failure: Failure | None = None
    log_may_tell: bool = False
    emr_words: str = ""


def judge(attempt: Attempt, *, attempts: Sequence[Attempt], emr: Any, s3: Any, log: str = "") -> Verdict:
    """How the attempt stands; it must have a cluster.

    :param attempts: the training's: an unknown cause is retried once
    :param emr: a boto3 EMR client
    :param s3: a boto3 S3 client
    :param log: the ends of the cluster's logs, if they are known; they may tell what neither job nor EMR did
    """
    cluster_id = ClusterId(str(attempt.cluster_id))
    status = clusters.describe(emr, cluster_id)
    if not status.ended:
        return Verdict(live=True)
    if status.succeeded:
        return Verdict(live=False)
    step = clusters.step_failure(emr, cluster_id)
    words = "; ".join(filter(None, (status.words, step)))
    told = read_failure(s3, attempt.output_uri)
    if told is not None:
        place = f" ({told.place})" if told.place else ""
        sentence = f"{told.sentence}{place} [cluster {cluster_id}]"
        failure = Failure(told.code, sentence, retry=told.code in _RETRIED)
        return Verdict(live=False, failure=failure, emr_words=words)
    unknown = [each for each in attempts if clusters.tells_no_cause(each.failure_code)]
    before = sum(each.attempt < attempt.attempt for each in unknown)
    failure = clusters.classify_end(status, unknown_before=before, step=step, log=log)
    return Verdict(live=False, failure=failure, log_may_tell=status.was_ready, emr_words=words)
