"""What may be learned with, and the parameters of each, by the library's own names and domains.

A learner is a class of its parameters and a class in the union Learner: docs/learners.md tells how to add one. A test
holds names, defaults and domains against pyspark.ml.classification, which this package does not import.
"""
# ruff: noqa: N815 (the names are Spark's)

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, TypeAlias

from pydantic import Field, Tag

from trainyard.portfolio import variants
from trainyard.portfolio.rules import Value, says

_LARGEST_INT = 2**31 - 1
_SUBSET = r"^(auto|all|onethird|sqrt|log2|[1-9][0-9]{0,8}|0\.[0-9]*[1-9][0-9]*|1\.0)$"
_NAME = "A class of pyspark.ml.classification."
_PARAMS = "Parameters of the class, by its own names."


class _LinearParams(Value):
    """What linear models share. Without a penalty, Spark overfits wide, sparse data without a word."""

    regParam: float = Field(
        ge=0,
        description="Strength of the regularization. It has no default: Spark's 0 overfits wide, sparse data"
        " without a word.",
    )
    maxIter: int = Field(
        default=100,
        ge=1,
        le=_LARGEST_INT,
        description="Iterations after which learning stops, converged or not.",
    )
    tol: float = Field(default=1e-6, gt=0, description="Relative change of the objective that ends learning.")
    standardization: bool = Field(
        default=False,
        description="Whether the penalty counts features scaled to unit deviation. Spark's own default is"
        " true, which makes a rare feature's coefficient cheap.",
    )
    fitIntercept: bool = Field(default=True, description="Whether an intercept is learned.")
    aggregationDepth: int = Field(
        default=2, ge=2, le=_LARGEST_INT, description="Levels of the tree in which gradients are summed up."
    )
    maxBlockSizeInMB: float = Field(
        default=0.0, ge=0, description="Memory of a block of stacked rows; 0 lets Spark choose."
    )


class LogisticRegressionParams(_LinearParams):
    """``LogisticRegression``; its columns, thresholds, family and bounds are the job's."""

    elasticNetParam: float = Field(
        default=0.0, ge=0, le=1, description="Share of L1 in it; above 0, OWL-QN learns instead of L-BFGS."
    )


class LinearSVCParams(_LinearParams):
    """``LinearSVC``; its columns and threshold are the job's."""


class _TreeParams(Value):
    """What ensembles of trees share; where checkpoints would go is left to Spark's configuration, so there are none."""

    maxDepth: int = Field(default=5, ge=0, le=30, description="Most levels of splits in a tree.")
    maxBins: int = Field(
        default=32, ge=2, le=_LARGEST_INT, description="Most intervals of a feature that splits are tried at."
    )
    minInstancesPerNode: int = Field(
        default=1, ge=1, le=_LARGEST_INT, description="Fewest rows of either side of a split."
    )
    minWeightFractionPerNode: float = Field(
        default=0.0, ge=0, lt=0.5, description="Least share of all weight of either side of a split."
    )
    minInfoGain: float = Field(default=0.0, ge=0, description="Least gain of a split.")
    subsamplingRate: float = Field(
        default=1.0, gt=0, le=1, description="Share of the rows that a tree learns from."
    )
    seed: int = Field(
        default=17,
        ge=0,
        le=2**63 - 1,
        description="Another one draws other rows and features. It is fixed, so that a retry learns the same model;"
        " Spark's own differs from process to process.",
    )
    maxMemoryInMB: int = Field(
        default=256, ge=0, le=_LARGEST_INT, description="Memory for the histograms of nodes split at a time."
    )
    cacheNodeIds: bool = Field(
        default=False, description="Whether each row's node is kept; speeds deep trees up and takes memory."
    )


class RandomForestClassifierParams(_TreeParams):
    """``RandomForestClassifier``; its columns and thresholds are the job's."""

    numTrees: int = Field(default=20, ge=1, le=_LARGEST_INT, description="Number of trees.")
    impurity: Literal["gini", "entropy"] = Field(default="gini", description="What a split lowers.")
    featureSubsetStrategy: str = Field(
        default="auto",
        pattern=_SUBSET,
        json_schema_extra=says(
            'auto, all, onethird, sqrt, log2, or in quotes a number or share such as "0.3"'
        ),
        description="How many features a split is chosen from.",
    )
    bootstrap: bool = Field(
        default=True, description="Whether a tree's rows are drawn with replacement, as Breiman has it."
    )


class GBTClassifierParams(_TreeParams):
    """``GBTClassifier``; its columns, thresholds and validation are the job's, and log loss its only loss."""

    maxIter: int = Field(default=20, ge=1, le=_LARGEST_INT, description="Number of trees.")
    stepSize: float = Field(
        default=0.1, gt=0, le=1, description="How much of a tree's correction is taken: the learning rate."
    )
    featureSubsetStrategy: str = Field(
        default="all",
        pattern=_SUBSET,
        json_schema_extra=says(
            'auto, all, onethird, sqrt, log2, or in quotes a number or share such as "0.3"'
        ),
        description="How many features a split is chosen from.",
    )


class LogisticRegression(Value):
    """Linear, learned by L-BFGS."""

    has_probabilities: ClassVar[bool] = True
    name: Literal["LogisticRegression"] = Field(default="LogisticRegression", description=_NAME)
    params: LogisticRegressionParams = Field(description=_PARAMS)


class LinearSVC(Value):
    """Linear, with hinge loss; scores are margins."""

    has_probabilities: ClassVar[bool] = False
    name: Literal["LinearSVC"] = Field(default="LinearSVC", description=_NAME)
    params: LinearSVCParams = Field(description=_PARAMS)


class RandomForestClassifier(Value):
    """Many trees that learn apart and vote."""

    has_probabilities: ClassVar[bool] = True
    name: Literal["RandomForestClassifier"] = Field(default="RandomForestClassifier", description=_NAME)
    params: RandomForestClassifierParams = Field(default=RandomForestClassifierParams(), description=_PARAMS)


class GBTClassifier(Value):
    """Trees that each correct those before."""

    has_probabilities: ClassVar[bool] = True
    name: Literal["GBTClassifier"] = Field(default="GBTClassifier", description=_NAME)
    params: GBTClassifierParams = Field(default=GBTClassifierParams(), description=_PARAMS)


Learner: TypeAlias = Annotated[
    Annotated[LogisticRegression, Tag("LogisticRegression")]
    | Annotated[LinearSVC, Tag("LinearSVC")]
    | Annotated[RandomForestClassifier, Tag("RandomForestClassifier")]
    | Annotated[GBTClassifier, Tag("GBTClassifier")],
    variants.LEARNERS.discriminator(),
]
