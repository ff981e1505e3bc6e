"""Each rule, by a value that breaks it and the whole sentence that says so; and the values it must let through."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from trainyard.portfolio import PortfolioError, load_portfolio
from trainyard.portfolio.rules import ModelName, S3Folder

FOLDER = "an S3 folder below a bucket's root such as s3://bucket/models"
INPUT = (
    "an S3 folder that ends in / below a bucket's root, or one object whose name has a dot, such as"
    " s3://bucket/features/{model}/{data_date}/train/, without placeholders but {model} and {data_date}"
)
NAME = "a snake_case name of at most 64 characters that starts with a letter"
CRON = (
    "a cron expression of five fields that comes some day, one of @hourly, @daily, @weekly, @monthly, @quarterly,"
    " @yearly, or null"
)
ZONE = "a zone of the IANA time zone database such as Europe/Vienna"

WEIGHTS = "balanced, a weight above 0 of each class such as {0: 1, 1: 10}, or null"
RULES = "fixed or best_f_beta or highest_recall or highest_precision or limited_positive_rate or best_profit"

PORTFOLIO_RULES = [
    ("portfolio", "other", "the file's stem, small"),
    ("schedule", "0 2 * *", CRON),
    ("schedule", "61 * * * *", CRON),
    ("schedule", "0 0 30 2 *", CRON),
    ("schedule", "* * * * * *", CRON),
    ("schedule", "@once", CRON),
    ("schedule", 5, CRON),
    ("start_date", "soon", "a date such as 2026-11-01"),
    ("start_date", "2026-02-30", "a date such as 2026-11-01"),
    ("start_date", "2026-11-01 02:00:00", "a date such as 2026-11-01"),
    ("time_zone", "Europe/Viena", f"{ZONE}; nearest: Europe/Vienna"),
    ("time_zone", "../etc/passwd", ZONE),
    ("time_zone", "", ZONE),
    ("owner", "", "text that is not empty"),
    ("owner", 5, "text that is not empty"),
    ("tags", "demo", "a list of texts"),
    ("data_lag_days", 366, "a whole number from 0 to 365"),
    ("data_lag_days", -1, "a whole number from 0 to 365"),
    ("data_lag_days", 1.5, "a whole number from 0 to 365"),
    ("data_lag_days", True, "a whole number from 0 to 365"),
    ("output_root", "s3://output", FOLDER),
    ("output_root", "s3://output/", FOLDER),
    ("output_root", "output/models", FOLDER),
    ("output_root", "s3://output/{model}", FOLDER),
    ("output_root", "s3://output//models", FOLDER),
    ("min_fresh", -1, "a whole number of at least 0, or null"),
    ("min_fresh", 2, "a whole number of at most 1, the number of models, or null"),
    ("models", [], "a mapping with at least one entry"),
    ("models", {}, "a mapping with at least one entry"),
    ("models", None, "a mapping with at least one entry"),
    ("defaults", 5, "a mapping of inputs, group_key, num_features"),
    ("inputs", "s3://x/y/", "a mapping of format, train"),
    ("connections", "x", "a mapping of aws, app_db, analytics_db"),
]


@pytest.mark.parametrize(("field", "value", "accepted"), PORTFOLIO_RULES)
def test_a_portfolios_field_is_refused(mistakes, smallest, field, value, accepted):
    document = yaml.safe_load(smallest) | {field: value}
    found = mistakes(yaml.safe_dump(document, sort_keys=False))
    # without inputs, the models lack theirs too
    (line,) = [line for line in found if f": portfolio, {field}: " in line or f": {field}: " in line]
    assert f" is not accepted; {accepted}" in line


MODEL_RULES = [
    ("inputs.train", "s3://features", INPUT),
    ("inputs.train", "s3://features/", INPUT),
    ("inputs.train", "s3://features/{model}/{day}/", INPUT),
    ("inputs.train", "s3://features/{model!r}/", INPUT),
    ("inputs.train", "s3://{model}/train/", INPUT),
    ("inputs.train", "s3://features/{model}/train", INPUT),
    ("inputs.train", "s3://features/*/train/", INPUT),
    ("inputs.train", "/data/train/", INPUT),
    ("inputs.validation", "s3://features/", f"{INPUT}, or null"),
    ("inputs.marker", "", "text that is not empty, or null"),
    ("num_features", 0, "a whole number from 1 to 2147483647"),
    ("num_features", "30", "a whole number from 1 to 2147483647"),
    ("feature_space", "", "text that is not empty"),
    ("label_mapping", {"0": 0}, "labels that map to 0 and labels that map to 1, such as {-1: 0, 1: 1}"),
    ("label_mapping", {"no": 0, "1": 1}, "labels that are numbers, as LibSVM has them, unlike 'no'"),
    ("label_mapping", {"1": 0, "1.0": 1}, "each finite label once, unlike '1.0'"),
    ("label_mapping", {"nan": 0, "1": 1}, "each finite label once, unlike 'nan'"),
    ("label_mapping.1", 2, "0 or 1"),
    ("label_mapping.1", True, "0 or 1"),
    (
        "learner.name",
        "Perceptron",
        "LogisticRegression or LinearSVC or RandomForestClassifier or GBTClassifier",
    ),
    ("learner", 5, "a mapping of name, params"),
    ("learner.params.regParam", -1, "a number of at least 0"),
    ("learner.params.regParam", "0.1", "a number of at least 0"),
    ("learner.params.elasticNetParam", 1.1, "a number from 0 to 1"),
    ("learner.params.maxIter", 0, "a whole number from 1 to 2147483647"),
    ("learner.params.tol", 0, "a number above 0"),
    ("learner.params.standardization", "yes", "true or false"),
    ("learner.params.fitIntercept", 1, "true or false"),
    ("learner.params.aggregationDepth", 1, "a whole number from 2 to 2147483647"),
    ("learner.params.maxBlockSizeInMB", -1, "a number of at least 0"),
    ("imbalance.negatives_kept", 0, "a number above 0 and of at most 1"),
    ("imbalance.class_weights", "even", WEIGHTS),
    ("imbalance.class_weights", {"0": 1}, WEIGHTS),
    ("imbalance.class_weights", {"0": 1, "1": 0}, WEIGHTS),
    ("calibration", "beta", "none or platt or isotonic"),
    ("calibration", "platt", "none, or rows to calibrate on: inputs.validation, or a share in inputs.split"),
    ("threshold.rule", "best", RULES),
    (
        "threshold",
        {"rule": "limited_positive_rate", "max_positive_rate": 0.1},
        "the rule fixed, or rows to choose on: inputs.validation, or a share in inputs.split, since test only"
        " reports",
    ),
    (
        "threshold",
        "best_f_beta",
        "a mapping of rule, value, margin, beta, min_precision, min_recall, "
        "max_positive_rate, true_positive, false_positive, true_negative, false_negative",
    ),
    ("threshold", {"margin": 1.5}, "value instead of margin: this model's scores become probabilities"),
    ("threshold.value", 1.01, "a number from 0 to 1"),
    ("threshold.value", "half", "a number from 0 to 1"),
    ("cluster.release", "7.13.0", "an EMR release such as emr-7.13.0 or emr-spark-8.0.0"),
    ("cluster.release", "emr-7.13", "an EMR release such as emr-7.13.0 or emr-spark-8.0.0"),
    ("cluster.primary.count", 2, "1"),
    ("cluster.primary.instance_type", "large", "an EC2 instance type such as m7g.xlarge"),
    ("cluster.core.instance_type", "m7g.huge", "an EC2 instance type such as m7g.xlarge"),
    ("cluster.core.count", 0, "a whole number from 1 to 2000"),
    ("cluster.core.market", "spot", "ON_DEMAND or SPOT"),
    ("cluster.log_uri", "s3://logs/", FOLDER),
    ("cluster.job_flow_role", "", "text that is not empty"),
    ("cluster.subnet_ids", "subnet-x", "a list of EC2 subnet ids such as [subnet-0123456789abcdef0]"),
    ("cluster.spark_defaults", 5, "a mapping"),
    ("cluster.spark_defaults.spark", "x", "a Spark property, which starts with spark."),
    (
        "cluster.tags",
        {"trainyard:run": "x"},
        "keys that start neither with trainyard: nor with aws:, unlike trainyard:run",
    ),
    ("cluster.tags.team", "x" * 257, "at most 256 letters, digits, spaces and _ . : / = + - @"),
    ("cluster.deadline_minutes", 0, "a whole number from 1 to 10080"),
    ("cluster.idle_timeout_minutes", 10081, "a whole number from 1 to 10080"),
    ("retries", 11, "a whole number from 0 to 10"),
]


def _nested(path: str, value: object) -> dict[str, object]:
    for part in reversed(path.split(".")):
        value = {part: value}
    return value  # type: ignore[return-value]


@pytest.mark.parametrize(("path", "value", "accepted"), MODEL_RULES)
def test_a_models_field_is_refused_with_its_line(mistakes, smallest, path, value, accepted):
    own = yaml.safe_dump(_nested(path, value), default_flow_style=None, width=1000, sort_keys=False)
    if path == "label_mapping.1":
        own = own.replace("'1':", "0: 0, 1:")
    text = smallest + "".join(f"    {line}\n" for line in own.splitlines())
    (found,) = mistakes(text)
    assert f": model hotels, {path}: " in found
    assert found.endswith(f" is not accepted; {accepted}")
    assert len(smallest.splitlines()) < int(found.split(":")[1]) <= len(text.splitlines())


ACCEPTED = [
    "schedule: '@daily'",
    "schedule: 0 2 * * mon-fri",
    "time_zone: America/Argentina/Buenos_Aires",
    "output_root: s3://output/models/",
    "data_lag_days: 0",
    "min_fresh: 0",
    "tags: [a, b]",
]


@pytest.mark.parametrize("line", ACCEPTED)
def test_a_portfolios_field_is_accepted(load, smallest, line):
    field = line.partition(":")[0]
    rest = "".join(f"{other}\n" for other in smallest.splitlines() if not other.startswith(f"{field}:"))
    assert load(f"{line}\n{rest}")


ACCEPTED_IN_MODELS = [
    "inputs: {train: s3://features/one/object.libsvm}",
    "inputs: {train: 's3://features/v2-{data_date}/{model}.x/', marker: null}",
    "label_mapping: {-1: 0, 1: 1}",
    "label_mapping: {1: 0, 2: 1, 3: 1}",
    "learner: {params: {regParam: 0, tol: 1e-9}}",
    "cluster: {release: emr-spark-8.0.0, subnet_ids: [subnet-0123456789abcdef0]}",
    "cluster: {core: {instance_type: r8gd.metal-24xl}, primary: {instance_type: c7i-flex.large}}",
    "cluster: {core: {instance_type: u-6tb1.112xlarge}}",
    "threshold: {value: 1}",
]


@pytest.mark.parametrize("line", ACCEPTED_IN_MODELS)
def test_a_models_field_is_accepted(load, smallest, line):
    assert load(f"{smallest}    {line}\n")


@pytest.mark.parametrize(
    "name", ["Hotels", "1st", "hotels-eu", "_hotels", "hotels_", "a__b", "h" * 65, "hôtels"]
)
def test_a_models_name_is_snake_case(mistakes, smallest, name):
    (found,) = mistakes(smallest.replace("hotels", name))
    assert found.endswith(f': model {name}: "{name}" is not accepted; {NAME}')


@pytest.mark.parametrize("name", ["plan", "publish", "freshness", "judge", "approve"])
def test_a_models_name_is_not_that_of_a_task(mistakes, smallest, name):
    (found,) = mistakes(smallest.replace("hotels", name))
    assert found.endswith(
        "; another name: approve, freshness, judge, plan, publish are taken by tasks of the DAG"
    )


@pytest.mark.parametrize("name", ["on", "no", "null", "true"])
def test_a_models_name_may_be_a_word_that_yaml_takes_for_another_thing(load, smallest, name):
    assert load(smallest.replace("hotels", name)).models[name].name == name


def test_a_files_name_must_do_as_the_portfolios_too(tmp_path, smallest):
    path = tmp_path / "my-models.yaml"
    path.write_text(smallest.replace("small", "my-models"))
    with pytest.raises(PortfolioError, match=NAME):
        load_portfolio(path)


MARGINS = "    learner: {name: LinearSVC, params: {regParam: 0.01}}\n"
NO_PROBABILITIES = "or a calibration: LinearSVC has no probabilities without one, so no log loss"


@pytest.mark.parametrize(
    ("gate", "said"),
    [
        ("", f"gate: is missing; margin: null, {NO_PROBABILITIES}"),
        (
            "    gate: {margin: null, bounds: {auc: {min: 0.6}, brier_score: {max: 0.2}}}\n",
            f" is not accepted; no bound on brier_score, {NO_PROBABILITIES}",
        ),
        (
            "    gate: {bounds: {log_loss: {max: 0.4}}}\n",
            f" is not accepted; margin: null and no bound on log_loss, {NO_PROBABILITIES}",
        ),
    ],
)
def test_a_gate_asks_for_no_probabilities_where_scores_are_margins(mistakes, smallest, gate, said):
    (found,) = mistakes(smallest + MARGINS + gate)
    assert ": model hotels, gate: " in found
    assert found.endswith(said)


def test_a_gate_of_margins_may_bound_what_needs_no_probability(load, smallest):
    gate = "    gate: {margin: null, max_positive_rate_change: 0.2, bounds: {auc: {min: 0.6}}}\n"
    assert load(smallest + MARGINS + gate)


def test_a_regularization_must_be_stated(mistakes, smallest):
    (found,) = mistakes(smallest.replace("      regParam: 0.01\n", "      maxIter: 5\n"))
    assert found.endswith("model hotels, learner.params.regParam: is missing; a number of at least 0")


def _is(kind: object, text: str) -> bool:
    try:
        TypeAdapter(kind).validate_python(text)
    except ValidationError:
        return False
    return True


@given(st.from_regex(r"[a-z][a-z0-9]{0,20}(_[a-z0-9]{1,9}){0,3}", fullmatch=True))
def test_names_of_words_joined_by_one_underscore_are_accepted(name):
    assert _is(ModelName, name) == (name not in {"approve", "freshness", "judge", "plan", "publish"})


@given(bucket=st.from_regex(r"[a-z0-9][a-z0-9-]{1,20}[a-z0-9]", fullmatch=True), slashes=st.integers(0, 3))
def test_no_spelling_of_a_buckets_root_is_a_folder(bucket, slashes):
    assert not _is(S3Folder, f"s3://{bucket}" + "/" * slashes)
    assert _is(S3Folder, f"s3://{bucket}/models")
