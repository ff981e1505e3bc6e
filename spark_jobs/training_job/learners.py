"""The learners a request may name: one entry each in LEARNERS. docs/learners.md tells how to add one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

from pyspark.ml import classification as spark

from training_job.failures import JobError
from training_job.imbalance import shown_to_learner
from training_job.learned import LearnedModel
from training_job.linear import linear_fit, linear_parameters
from training_job.trees import boosted_parameters, forest_parameters, trees_fit

if TYPE_CHECKING:
    from training_job.choices import Imbalance, LearnerChoice
    from training_job.fitting import Fit
    from training_job.loading import Split


@dataclass(frozen=True)
class Learner:
    """
    :param estimator: class of pyspark.ml.classification that learns
    :param model: class that it leaves behind, and that loads it again
    :param kind: names the scoring rule in the artifact
    :param score_kind: ``probability`` or ``margin``: what its raw score is
    :param accepted: parameters that a request may set; Spark itself knows which values they take
    :param fit: (estimator, model) → how the fit went; raises ``learning_diverged``
    :param parameters: (model, URI of the folder it was saved to) → all that the scoring rule needs; plain JSON
    :param fixed: parameters that a request may not set
    """

    estimator: Any
    model: Any
    kind: str
    score_kind: str
    accepted: frozenset[str]
    fit: Callable[[Any, Any], Fit]
    parameters: Callable[[Any, str], dict[str, Any]]
    fixed: dict[str, Any] = field(default_factory=dict)


_LINEAR = frozenset(
    ["regParam", "maxIter", "tol", "standardization", "fitIntercept", "aggregationDepth", "maxBlockSizeInMB"]
)
_TREES = frozenset(
    [
        "cacheNodeIds",
        "featureSubsetStrategy",
        "maxBins",
        "maxDepth",
        "maxMemoryInMB",
        "minInfoGain",
        "minInstancesPerNode",
        "minWeightFractionPerNode",
        "seed",
        "subsamplingRate",
    ]
)

LEARNERS = {
    "LogisticRegression": Learner(
        estimator=spark.LogisticRegression,
        model=spark.LogisticRegressionModel,
        kind="logistic_regression",
        score_kind="probability",
        accepted=_LINEAR | {"elasticNetParam"},
        fit=linear_fit,
        parameters=linear_parameters,
        fixed={"family": "binomial"},
    ),
    "LinearSVC": Learner(
        estimator=spark.LinearSVC,
        model=spark.LinearSVCModel,
        kind="linear_svc",
        score_kind="margin",
        accepted=_LINEAR,
        fit=linear_fit,
        parameters=linear_parameters,
    ),
    "RandomForestClassifier": Learner(
        estimator=spark.RandomForestClassifier,
        model=spark.RandomForestClassificationModel,
        kind="random_forest",
        score_kind="probability",
        accepted=_TREES | {"numTrees", "impurity", "bootstrap"},
        fit=trees_fit,
        parameters=forest_parameters,
    ),
    "GBTClassifier": Learner(
        estimator=spark.GBTClassifier,
        model=spark.GBTClassificationModel,
        kind="gradient_boosted_trees",
        score_kind="probability",
        accepted=_TREES | {"maxIter", "stepSize"},
        fit=trees_fit,
        parameters=boosted_parameters,
    ),
}
# Spark's own default seed is Python's hash of a name, which is another one in each process
DEFAULT_SEED = 17


def learner_for(choice: LearnerChoice, imbalance: Imbalance) -> Callable[[Split], LearnedModel]:
    """What fits the learner that the request names; raises ``bad_request`` where its parameters do not fit."""
    learner = LEARNERS.get(choice.name)
    if learner is None:
        _refuse("learner.name", choice.name, " or ".join(sorted(LEARNERS)))
    return partial(_learn, learner, _estimator(learner, choice.params), imbalance)


def load_model(kind: str, folder: str) -> Any:
    """The Spark model of an artifact's kind that MLlib saved to the folder; raises KeyError for an unknown kind."""
    by_kind = {learner.kind: learner.model for learner in LEARNERS.values()}
    return by_kind[kind].load(folder)


def _estimator(learner: Learner, params: dict[str, Any]) -> Any:
    for name in params:
        if name not in learner.accepted:
            _refuse("learner.params", name, f"parameters among {', '.join(sorted(learner.accepted))}")
    seed = {"seed": DEFAULT_SEED} if "seed" in learner.accepted else {}
    try:
        estimator = learner.estimator(
            featuresCol="features", labelCol="label", **learner.fixed, **{**seed, **params}
        )
        # what Spark checks when it fits, by when a cluster has read all rows
        estimator._transfer_params_to_java()  # noqa: SLF001
    # Spark raises TypeError, ValueError and classes of its own that differ between versions
    except Exception as error:  # noqa: BLE001
        raise JobError("bad_request", f"request.json: learner.params: {_first_line(error)}") from None
    return estimator


def _learn(learner: Learner, estimator: Any, imbalance: Imbalance, split: Split) -> LearnedModel:
    """Fit; the rows stay on the executors."""
    shown = shown_to_learner(split, imbalance)
    if shown.weight_column is not None:
        estimator = estimator.copy({estimator.weightCol: shown.weight_column})
    model = estimator.fit(shown.rows)
    fit = learner.fit(estimator, model)
    return LearnedModel(
        spark_model=model,
        kind=learner.kind,
        score_kind=learner.score_kind,
        # a margin has no odds
        odds_factor=shown.odds_factor if learner.score_kind == "probability" else None,
        parameters=partial(learner.parameters, model),
        iterations=fit.iterations,
        objective=fit.objective,
        warnings=fit.warnings,
    )


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]


def _refuse(field_: str, value: object, accepted: str) -> NoReturn:
    raise JobError("bad_request", f"request.json: {field_} is {value!r}; expected {accepted}")
