"""Each split has one source, what does not go together is told, and a model may settle what its defaults leave open."""

from __future__ import annotations

from datetime import date

import pytest

CUT = "inputs:\n  train: s3://features/all/\n  split: {test: 0.2, validation: 0.1}\n"


def with_inputs(smallest: str, inputs: str) -> str:
    before, _, rest = smallest.partition("inputs:\n")
    return before + inputs + rest.partition("/test/\n")[2]


def with_model(smallest: str, model: str) -> str:
    return smallest.replace("  hotels:\n", f"  hotels:\n{model}\n")


def test_test_and_validation_may_be_cut_from_train(load, smallest):
    inputs = load(with_inputs(smallest, CUT)).models["hotels"].inputs
    assert (inputs.test, inputs.validation) == (None, None)
    assert (inputs.split.test, inputs.split.validation, inputs.split.seed) == (0.2, 0.1, 0)
    resolved = inputs.resolve(model="hotels", data_date=date(2026, 11, 22))
    assert resolved == inputs


def test_what_is_cut_from_train_holds_trains_share_of_negatives(load, smallest):
    inputs = load(with_inputs(smallest, CUT + "  negatives_kept: {train: 0.1}\n")).models["hotels"].inputs
    assert inputs.kept_rates == {"train": 0.1, "validation": 0.1, "test": 0.1}


def test_defaults_of_a_format_and_a_key_hold_for_every_model(load, smallest):
    text = with_model(smallest, "    group_key: user_id\n    inputs: {format: parquet, max_bad_lines: 3}")
    model = load(text).models["hotels"]
    assert (model.group_key, model.inputs.format, model.inputs.max_bad_lines) == ("user_id", "parquet", 3)
    assert model.inputs.test == "s3://features/{model}/{data_date}/test/"


def test_what_defaults_leave_open_a_model_may_settle(load, smallest):
    defaults = "defaults:\n  group_key: user_id\n  inputs: {split: {validation: 0.1}}\n"
    text = smallest.replace("defaults:\n", defaults) + "    inputs: {format: parquet}\n"
    assert load(text).models["hotels"].inputs.split.validation == 0.1


def test_a_test_of_no_source_is_missing_once(mistakes, smallest):
    (line,) = mistakes(with_inputs(smallest, "inputs:\n  train: s3://features/all/\n"))
    assert "model hotels, inputs.test: is missing; an S3 folder" in line


@pytest.mark.parametrize(
    ("model", "told"),
    [
        (
            "    inputs: {split: {test: 0.2}}",
            'inputs.test: "s3://features/{model}/{data_date}/test/" is not accepted;'
            " null, since split cuts a share of 0.2 from train",
        ),
        (
            "    inputs: {split: {validation: 0.1}, validation: s3://features/v/}",
            'inputs.validation: "s3://features/v/" is not accepted; null, since split cuts a share of 0.1 from train',
        ),
        (
            "    inputs: {test: null, split: {test: 0.6, validation: 0.4}}",
            "inputs.split.validation: 0.4 is not accepted; a share that, with test's 0.6, leaves rows to train",
        ),
        (
            "    inputs: {split: {test: 1}}",
            "inputs.split.test: 1 is not accepted; a number above 0 and below 1",
        ),
        (
            "    inputs: {negatives_kept: {test: 0}}",
            "inputs.negatives_kept.test: 0 is not accepted; a number above 0 and of at most 1",
        ),
        (
            "    inputs: {test: null, split: {test: 0.2}, negatives_kept: {train: 0.1, test: 1}}",
            "train's rate, 0.1, for test, since split cuts it from train",
        ),
        ("    inputs: {format: csv}", 'inputs.format: "csv" is not accepted; libsvm or parquet'),
        (
            "    inputs: {max_bad_lines: -1}",
            "inputs.max_bad_lines: -1 is not accepted; a whole number of at least 0",
        ),
        ("    group_key: user_id", 'group_key: "user_id" is not accepted; qid or null'),
        (
            "    group_key: weight\n    inputs: {format: parquet}",
            'group_key: "weight" is not accepted; another column, or null',
        ),
    ],
)
def test_what_does_not_go_together_is_told(mistakes, smallest, model, told):
    found = mistakes(with_model(smallest, model))
    assert any(told in line for line in found), found
