"""What may be learned with, and the parameters of each, by the library's own names and domains.

Source: https://spark.apache.org/docs/3.5.6/api/python/reference/api/pyspark.ml.classification.LogisticRegression.html
"""
# ruff: noqa: N815 (the names are Spark's)

from __future__ import annotations

from typing import Annotated, TypeAlias

from pydantic import AfterValidator, BaseModel, Field, GetPydanticSchema

from trainyard.portfolio.rules import Value

ParameterValue: TypeAlias = float | int | bool


class LogisticRegressionParams(Value):
    """``pyspark.ml.classification.LogisticRegression``; its columns, thresholds and bounds are the job's."""

    regParam: float = Field(
        ge=0,
        description="Strength of the regularization. It has no default: Spark's 0 overfits wide, sparse data"
        " without a word.",
    )
    elasticNetParam: float = Field(
        default=0.0, ge=0, le=1, description="Share of L1 in it; above 0, OWL-QN learns instead of L-BFGS."
    )
    maxIter: int = Field(
        default=100,
        ge=1,
        le=2**31 - 1,
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
        default=2, ge=2, le=2**31 - 1, description="Levels of the tree in which gradients are summed up."
    )
    maxBlockSizeInMB: float = Field(
        default=0.0, ge=0, description="Memory of a block of stacked rows; 0 lets Spark choose."
    )


def _as_dict(params: BaseModel) -> dict[str, ParameterValue]:
    return params.model_dump()


# validated by the table above, handed on as the mapping that the job's request holds
LearnerParams = Annotated[
    dict[str, ParameterValue],
    GetPydanticSchema(lambda _source, handler: handler.generate_schema(LogisticRegressionParams)),
    AfterValidator(_as_dict),
]
