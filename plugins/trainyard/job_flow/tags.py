"""Name and tags of an attempt's cluster: what adoption and the reaper find it by.

Source: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Tags.html#tag-restrictions
"""

from __future__ import annotations

import re

from trainyard.portfolio import Cluster
from trainyard.training import Training

DEPLOYMENT_TAG = "trainyard:deployment"
TRAINING_TAG = "trainyard:training"
MAXIMUM_AGE_TAG = "trainyard:maximum-age-minutes"

_LONGEST_VALUE = 256
_NOT_IN_A_TAG = re.compile(r"[^\w\s.:/=+\-@]")


def deployment_prefix(deployment: str) -> str:
    """What the names of all clusters of a deployment begin with.

    So do those of a deployment whose id is longer by a hyphen and more: only the tag is sure.
    """
    return f"trainyard-{deployment}-"


def cluster_name(training: Training, attempt: int) -> str:
    """The one name of an attempt's cluster: what adoption and the reaper search for.

    At most 256 characters, EMR's limit, since portfolio and model names are at most 64 and a deployment id 32.
    """
    return (
        f"{deployment_prefix(training.deployment)}{training.portfolio}-{training.model}"
        f"-{training.training_id}-attempt-{attempt}"
    )


def tags(training: Training, attempt: int, cluster: Cluster) -> list[dict[str, str]]:
    """The cluster's tags; the portfolio's own come first and hide none of ours."""
    ours = {
        DEPLOYMENT_TAG: training.deployment,
        "trainyard:portfolio": training.portfolio,
        "trainyard:model": training.model,
        "trainyard:data-date": training.data_date.isoformat(),
        # a run's id may hold characters that AWS takes in no tag, and be longer
        "trainyard:run": _NOT_IN_A_TAG.sub("_", training.run_id)[:_LONGEST_VALUE],
        TRAINING_TAG: training.training_id,
        "trainyard:attempt": str(attempt),
        MAXIMUM_AGE_TAG: str(cluster.most_minutes),
    }
    return [{"Key": key, "Value": value} for key, value in {**cluster.tags, **ours}.items()]
