"""The values that a portfolio's file becomes.

Every field's default, domain and meaning stands here, in ``cluster`` and in ``learners``, and nowhere else:
the JSON schema, the errors and the table in ``docs/portfolios.md`` are made from them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import date
from typing import Annotated

from pydantic import AfterValidator, Field, ValidationInfo, field_validator

from trainyard.portfolio.cluster import Cluster
from trainyard.portfolio.decisions import (
    Calibration,
    FixedThreshold,
    Imbalance,
    Threshold,
    check_calibration,
    check_threshold,
)
from trainyard.portfolio.gate import Age, Approval, Gate, check_gate
from trainyard.portfolio.inputs import Inputs, check_group_key
from trainyard.portfolio.learners import Learner
from trainyard.portfolio.rules import (
    Cron,
    ModelName,
    PortfolioName,
    S3Folder,
    Text,
    TimeZone,
    Value,
    refuse,
    says,
)

MOST_RETRIES = 10


class Connections(Value):
    """Ids of the Airflow connections that the portfolio's DAG uses."""

    aws: Text = Field(default="aws_default", description="Airflow connection to AWS.")
    app_db: Text = Field(default="app_db", description="Airflow connection to the application database.")
    analytics_db: Text = Field(
        default="analytics_db", description="Airflow connection to the analytics database."
    )


def _label_mapping(mapping: dict[str, int]) -> dict[str, int]:
    labels: dict[float, str] = {}
    for label in mapping:
        try:
            number = float(label)
        except ValueError as error:
            raise refuse(f"labels that are numbers, as LibSVM has them, unlike {label!r}") from error
        if number in labels or not math.isfinite(number):
            raise refuse(f"each finite label once, unlike {label!r}")
        labels[number] = label
    if set(mapping.values()) != {0, 1}:
        raise refuse("labels that map to 0 and labels that map to 1, such as {-1: 0, 1: 1}")
    return {_plain_number(number): mapping[label] for number, label in sorted(labels.items())}


def _group_key(key: str | None, info: ValidationInfo) -> str | None:
    return check_group_key(key, info.data.get("inputs"))


def _calibration(calibration: str, info: ValidationInfo) -> str:
    return check_calibration(calibration, info.data.get("inputs"))


def _plain_number(number: float) -> str:
    return str(int(number)) if number.is_integer() else repr(number)


class Model(Value):
    """One thing to learn."""

    name: str = Field(description="Its key under models.")
    inputs: Inputs = Field(description="Where the features lie.")
    group_key: Annotated[Text | None, AfterValidator(_group_key)] = Field(
        default=None,
        description="What says which rows belong together, such as a user's: a column of Parquet; for LibSVM qid,"
        " the token between label and features that SVM-rank knows. Null: rows are independent.",
    )
    num_features: int = Field(
        ge=1,
        le=2**31 - 1,
        description="Number of features: the highest index that a row of LibSVM may have, whose indices start at 1;"
        " in Parquet they start at 0.",
    )
    feature_space: Text = Field(
        default_factory=lambda values: values["name"],
        description="Id of what the features mean; the model's name by default. Change it whenever an index"
        " changes its meaning: equal width is not equal meaning.",
    )
    label_mapping: Annotated[dict[str, Annotated[int, Field(ge=0, le=1)]], AfterValidator(_label_mapping)] = (
        Field(
            default={"0": 0, "1": 1},
            json_schema_extra=says("a mapping of labels to 0 and 1 such as {-1: 0, 1: 1}"),
            description="The class, 0 or 1, of each label in the data; any other label fails the training."
            " Replaced as a whole, never merged.",
        )
    )
    learner: Learner = Field(description="What learns, and its parameters.")
    imbalance: Imbalance = Field(default=Imbalance(), description="What is done about rare positives.")
    calibration: Annotated[Calibration, AfterValidator(_calibration)] = Field(
        default="none",
        description="What turns scores into probabilities that hold, fitted on validation; LinearSVC has none"
        " without it.",
    )
    threshold: Annotated[Threshold, AfterValidator(check_threshold)] = Field(
        default=FixedThreshold(),
        description="From which score on a row is decided for: by a rule, chosen on validation; only fixed needs none.",
    )
    gate: Annotated[Gate, AfterValidator(check_gate)] = Field(
        default=Gate(),
        validate_default=True,
        description="What a trained model must show before it serves.",
    )
    fresh_within: Age | None = Field(
        default=None,
        description="How old the data of what serves may be when the run ends, counted from the end of its data"
        " date; older turns the run red. null: as old as it likes.",
    )
    keep_versions: int = Field(
        default=30,
        ge=1,
        le=10_000,
        description="Newest versions whose artifacts stay; `trainyard prune` empties older ones, unless they have"
        " served or were pinned.",
    )
    cluster: Cluster = Field(description="The cluster that each training gets.")
    priority: int = Field(
        default=0,
        ge=-1_000,
        le=1_000,
        description="Which of the models that wait for a slot of the account goes first: the one with more.",
    )
    retries: int = Field(
        default=2,
        ge=0,
        le=MOST_RETRIES,
        description="Further tries, each on a fresh cluster, where another may succeed.",
    )


class Portfolio(Value):
    """Models that share a schedule and defaults: one file, one DAG."""

    name: PortfolioName = Field(alias="portfolio", description="Its name: the file's stem, and the DAG's id.")
    schedule: Cron | None = Field(description="When it runs, in time_zone; null: only when triggered.")
    start_date: date = Field(description="First day on which the schedule holds.")
    time_zone: TimeZone = Field(default="UTC", description="Zone of the schedule and of the data dates.")
    owner: Text = Field(description="Who answers for it; shown in Airflow.")
    tags: tuple[Annotated[Text, Field(max_length=100)], ...] = Field(
        default=(), description="Tags in Airflow."
    )
    data_lag_days: int = Field(
        default=1, ge=0, le=365, description="Days from the data date to the run: at two in the morning, 1."
    )
    output_root: S3Folder = Field(description="S3 folder below which trainings and staged code lie.")
    connections: Connections = Field(default=Connections(), description="Airflow connections to use.")
    curve_days: int = Field(
        default=90,
        ge=1,
        le=36_500,
        description="Days that curves stay in the analytics database; `trainyard prune` drops older ones.",
    )
    approval: Approval | None = Field(
        default=None,
        description="Asks a person before a run's models go live; null: nobody is asked. {} takes each default.",
    )
    models: Mapping[ModelName, Model] = Field(min_length=1, description="The models, by name.")
    # after the models: its upper limit is their number
    min_fresh: int | None = Field(
        default=None,
        ge=0,
        description="Chosen models that must be fresh for the run to be green; null: all of them.",
    )
    sha256: str = Field(default="", description="Of the file's bytes.")

    @field_validator("min_fresh")
    @classmethod
    def _at_most_all(cls, min_fresh: int | None, info: ValidationInfo) -> int | None:
        models = info.data.get("models")
        if min_fresh is not None and models is not None and min_fresh > len(models):
            raise refuse(f"a whole number of at most {len(models)}, the number of models, or null")
        return min_fresh
