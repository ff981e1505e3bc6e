"""``artifact.json`` → what scores rows."""

from __future__ import annotations

import gzip
import math
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from trainyard.scoring.large_json import loads
from trainyard.scoring.linear import linear_model
from trainyard.scoring.numbers import ArtifactError, mapping
from trainyard.scoring.probabilities import Probabilities, probabilities_of, sigmoid
from trainyard.scoring.rows import Rows, RowsError, dense_rows
from trainyard.scoring.trees import boosted_trees, forest

FORMAT_VERSION = 2
_GZIP = b"\x1f\x8b"

# rows → array of raw scores
Score = Callable[[Rows], Any]


def _logistic_regression(parameters: dict[str, Any], num_features: int) -> Score:
    model = linear_model(parameters, num_features)
    return lambda rows: sigmoid(model.margins(rows))


def _linear_svc(parameters: dict[str, Any], num_features: int) -> Score:
    return linear_model(parameters, num_features).margins


def _random_forest(parameters: dict[str, Any], num_features: int) -> Score:
    return forest(parameters, num_features).scores


def _gradient_boosted_trees(parameters: dict[str, Any], num_features: int) -> Score:
    model = boosted_trees(parameters, num_features)
    return lambda rows: sigmoid(2 * model.margins(rows))


# kind → (kind of its scores, what makes its scoring rule of parameters and number of features)
KINDS: dict[str, tuple[str, Callable[[dict[str, Any], int], Score]]] = {
    "logistic_regression": ("probability", _logistic_regression),
    "linear_svc": ("margin", _linear_svc),
    "random_forest": ("probability", _random_forest),
    "gradient_boosted_trees": ("probability", _gradient_boosted_trees),
}


@dataclass(frozen=True)
class Scored:
    """Arrays over the rows.

    :param scores: raw: probabilities before correction and calibration, or margins
    :param probabilities: of class 1; None for a margin that nothing calibrates
    :param decisions: whether the score is at or above the threshold
    """

    scores: Any
    probabilities: Any
    decisions: Any


@dataclass(frozen=True)
class Scorer:
    """A model that scores without Spark.

    :param probabilities: how its raw scores become probabilities
    :param threshold: on the scale of the raw score
    :param label_names: class, as ``0`` or ``1`` → its label in the data
    """

    kind: str
    num_features: int
    feature_space: str
    probabilities: Probabilities
    threshold: float
    label_names: dict[str, str]
    _score: Score = field(repr=False)

    def score(self, rows: Rows | Any, *, feature_space: str | None = None) -> Scored:
        """Score rows, or an array (rows, features).

        :param feature_space: what the rows' features mean; None where the caller answers for it
        :raises RowsError: the rows are of another width or feature space
        """
        if not isinstance(rows, Rows):
            rows = dense_rows(rows)
        if rows.num_features != self.num_features:
            raise RowsError(f"rows of {rows.num_features} features; the model has {self.num_features}")
        if feature_space not in {None, self.feature_space}:
            raise RowsError(
                f"rows of the feature space {feature_space!r}; the model has learned {self.feature_space!r}"
            )
        scores = self._score(rows)
        return Scored(
            scores=scores,
            probabilities=self.probabilities.of(scores) if self.probabilities.known else None,
            decisions=scores >= self.threshold,
        )


def read_artifact(content: bytes) -> Scorer:
    """The scorer of the bytes of ``artifact.json`` or ``artifact.json.gz``; raises ArtifactError."""
    try:
        document = loads(gzip.decompress(content) if content.startswith(_GZIP) else content)
    except (ValueError, OSError, EOFError, zlib.error) as error:
        raise ArtifactError(f"the artifact is no JSON, plain or gzipped: {error}") from None
    if not isinstance(document, dict):
        raise ArtifactError("the artifact is no JSON object")
    version = document.get("format_version")
    if version != FORMAT_VERSION:
        raise ArtifactError(f"format_version is {version!r}; expected {FORMAT_VERSION}")
    return scorer_of(document)


def scorer_of(document: dict[str, Any]) -> Scorer:
    """The scorer of an artifact's document, whatever its format version says; raises ArtifactError."""
    kind, num_features = document.get("kind"), document.get("num_features")
    if kind not in KINDS:
        raise ArtifactError(f"kind is {kind!r}; expected {', '.join(KINDS)}")
    if not (isinstance(num_features, int) and num_features > 0):
        raise ArtifactError(f"num_features is {num_features!r}; expected a whole number above 0")
    score_kind, rule = KINDS[kind]
    if document.get("score_kind") != score_kind:
        raise ArtifactError(f"score_kind is {document.get('score_kind')!r}; {kind} has {score_kind}")
    return Scorer(
        kind=kind,
        num_features=num_features,
        feature_space=str(document.get("feature_space")),
        probabilities=_probabilities(document),
        threshold=_threshold(document, score_kind),
        label_names=dict(document.get("label_names") or {"0": "0", "1": "1"}),
        _score=rule(mapping(document, "parameters", "artifact"), num_features),
    )


def _probabilities(document: dict[str, Any]) -> Probabilities:
    try:
        return probabilities_of(document)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ArtifactError(f"correction or calibration: {error}") from None


def _threshold(document: dict[str, Any], score_kind: str) -> float:
    threshold = document.get("threshold")
    if not isinstance(threshold, int | float) or isinstance(threshold, bool) or not math.isfinite(threshold):
        raise ArtifactError(f"threshold is {threshold!r}; expected a finite number")
    if score_kind == "probability" and not 0 <= threshold <= 1:
        raise ArtifactError(f"threshold is {threshold!r}; expected a probability from 0 to 1")
    return float(threshold)
