"""The portfolio's table of learners is Spark's own, names, defaults and domains; what differs, differs on purpose."""

from __future__ import annotations

from typing import Any, get_args

import pytest
from pydantic import BaseModel, ValidationError
from pyspark.sql import SparkSession

from training_job.choices import Imbalance, LearnerChoice
from training_job.failures import JobError
from training_job.learners import DEFAULT_SEED, LEARNERS, learner_for
from trainyard.portfolio.learners import Learner

# parameter → why no portfolio may set it
THE_JOBS = {
    **dict.fromkeys(("featuresCol", "labelCol", "weightCol"), "the columns are the job's"),
    **dict.fromkeys(
        ("predictionCol", "probabilityCol", "rawPredictionCol", "leafCol"), "the columns are the job's"
    ),
    **dict.fromkeys(("threshold", "thresholds"), "a decision is by the model's threshold"),
    "family": "two classes",
    **dict.fromkeys(
        (
            "lowerBoundsOnCoefficients",
            "upperBoundsOnCoefficients",
            "lowerBoundsOnIntercepts",
            "upperBoundsOnIntercepts",
        ),
        "matrices have no place in a portfolio",
    ),
    "checkpointInterval": "without a folder for checkpoints, Spark makes none",
    "validationIndicatorCol": "validation is for threshold and calibration, nothing is fitted on it",
    "validationTol": "goes with validationIndicatorCol",
    "lossType": "has one value",
}
# of one learner alone
THE_JOBS_OF = {"GBTClassifier": {"impurity": "Spark ignores it since 3.0"}}
OTHER_DEFAULTS = {"regParam", "standardization", "seed", "tol"}
# what we refuse although Spark takes it: learning would stop before it begins, or never
STRICTER = {"maxIter", "tol", "seed"}

LEARNER_CLASSES = {get_args(each)[0].__name__: get_args(each)[0] for each in get_args(get_args(Learner)[0])}
every_learner = pytest.mark.parametrize("name", LEARNER_CLASSES)


def params_of(name: str) -> type[BaseModel]:
    found: type[BaseModel] = LEARNER_CLASSES[name].model_fields["params"].annotation
    return found


def bounds() -> list[tuple[str, str, Any, bool]]:
    """(learner, parameter, a value at the edge of our domain or beyond it, whether we take it)"""
    cases = []
    for name in LEARNER_CLASSES:
        for parameter, schema in params_of(name).model_json_schema()["properties"].items():
            step = 1 if schema["type"] == "integer" else 1e-9
            edges = [
                ("minimum", 0, True),
                ("minimum", -step, False),
                ("exclusiveMinimum", 0, False),
                ("exclusiveMinimum", step, True),
                ("maximum", 0, True),
                ("maximum", step, False),
                ("exclusiveMaximum", 0, False),
                ("exclusiveMaximum", -step, True),
            ]
            cases += [
                (name, parameter, schema[edge] + shift, taken)
                for edge, shift, taken in edges
                if edge in schema
            ]
    texts = [("auto", True), ("onethird", True), ("0.3", True), ("7", True), ("1.0", True), ("0", False)]
    texts += [("some", False), ("1.5", False), ("-1", False)]
    for name in ("RandomForestClassifier", "GBTClassifier"):
        cases += [(name, "featureSubsetStrategy", text, taken) for text, taken in texts]
    cases += [
        ("RandomForestClassifier", "impurity", text, text != "variance")
        for text in ("gini", "entropy", "variance")
    ]
    return cases


def we_take(name: str, parameter: str, value: Any) -> bool:
    given = {"regParam": 0.1} if "regParam" in params_of(name).model_fields else {}
    try:
        params_of(name).model_validate({**given, parameter: value})
    except ValidationError:
        return False
    return True


def spark_takes(name: str, parameter: str, value: Any) -> bool:
    try:
        learner_for(LearnerChoice(name, {parameter: value}), Imbalance())
    except JobError:
        return False
    return True


def test_both_sides_know_the_same_learners() -> None:
    assert LEARNER_CLASSES.keys() == LEARNERS.keys()


@every_learner
def test_every_parameter_of_sparks_is_ours_or_has_a_reason_not_to_be(spark: SparkSession, name: str) -> None:
    sparks = {parameter.name for parameter in LEARNERS[name].estimator().params}
    ours = set(params_of(name).model_fields)
    kept = THE_JOBS.keys() | THE_JOBS_OF.get(name, {}).keys()
    assert ours == sparks - kept
    assert ours == LEARNERS[name].accepted


@every_learner
def test_defaults_are_sparks_but_where_docs_say_so(spark: SparkSession, name: str) -> None:
    estimator = LEARNERS[name].estimator()
    ours = {each: field.default for each, field in params_of(name).model_fields.items()}
    assert {
        each for each, default in ours.items() if estimator.getOrDefault(each) != default
    } <= OTHER_DEFAULTS
    assert ours.get("seed", DEFAULT_SEED) == DEFAULT_SEED


@pytest.mark.parametrize(("name", "parameter", "value", "taken"), bounds())
def test_domains_are_sparks(spark: SparkSession, name: str, parameter: str, value: Any, taken: bool) -> None:
    assert we_take(name, parameter, value) == taken
    if taken or parameter not in STRICTER:
        assert spark_takes(name, parameter, value) == taken
