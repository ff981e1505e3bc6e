"""``artifact.json``: what is checked of a model before it may serve, and what publishing keeps of it.

The parameters are looked at once and not kept: they may be hundreds of megabytes.
"""

from __future__ import annotations

from typing import Any, Literal

from trainyard.publishing.formats import (
    Count,
    Finite,
    FormatError,
    Name,
    Part,
    check_storable,
    read_document,
    validated,
)
from trainyard.scoring import ArtifactError, scorer_of
from trainyard.scoring.large_json import Content, loads


class Artifact(Part):
    """The model without its parameters.

    :param threshold: on the scale of the model's score, which ``score_kind`` names
    """

    kind: Name
    score_kind: Literal["probability", "margin"]
    num_features: Count
    feature_space: Name
    threshold: Finite
    lineage: dict[str, Any]


def check_artifact(content: Content, *, name: str) -> Artifact:
    """Read an artifact and find that it can score.

    :param content: JSON, not compressed
    :param name: the file's name, for the error's text
    :raises FormatError: the content is no such file, or could not score
    """
    document = read_document(content, name=name, loads=loads)
    artifact = validated(Artifact, document, name=name)
    try:
        scorer_of(document)
    except ArtifactError as error:
        raise FormatError(f"{name}: {error}") from error
    check_storable(document, content, name=name)
    return artifact
