"""A training's attempt → the RunJobFlow request that launches its cluster."""

from __future__ import annotations

from trainyard.training import Training


def cluster_name(training: Training, attempt: int) -> str:
    """The one name of an attempt's cluster: what adoption and the reaper search for.

    At most 256 characters, EMR's limit, since portfolio and model names are at most 64 and a deployment id 32.
    """
    return (
        f"trainyard-{training.deployment}-{training.portfolio}-{training.model}"
        f"-{training.training_id}-attempt-{attempt}"
    )
