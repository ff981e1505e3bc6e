from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from trainyard.training import Sha256, Training, code_folder, split_uri

HOTELS = Training(
    deployment="laptop",
    portfolio="demo",
    model="hotels",
    data_date=date(2026, 11, 22),
    dag_id="demo",
    run_id="manual__2026-11-23T02:00:00+00:00",
    output_root="s3://bucket/models/",
)


def test_the_id_is_the_same_for_every_try_and_for_a_moved_data_date() -> None:
    assert HOTELS.training_id == "75e3b326d1ffc736"
    assert replace(HOTELS, data_date=date(2026, 1, 1)).training_id == HOTELS.training_id


@pytest.mark.parametrize(
    "other", [{"deployment": "production"}, {"dag_id": "other"}, {"run_id": "other"}, {"model": "flights"}]
)
def test_another_deployment_dag_run_or_model_has_another_id(other: dict[str, str]) -> None:
    assert replace(HOTELS, **other).training_id != HOTELS.training_id


def test_the_parts_of_an_id_cannot_run_into_each_other() -> None:
    one = replace(HOTELS, dag_id="a", run_id="bc")
    assert one.training_id != replace(HOTELS, dag_id="ab", run_id="c").training_id


def test_everything_of_an_attempt_lies_in_one_folder() -> None:
    folder = f"s3://bucket/models/trainings/demo/hotels/2026-11-22/{HOTELS.training_id}/attempt-2/"
    assert HOTELS.attempt_folder(2) == folder
    assert HOTELS.request_uri(2) == folder + "request.json"
    assert code_folder("s3://bucket/models", Sha256("ab")) == "s3://bucket/models/code/ab/"


def test_a_location_is_split_into_bucket_and_key() -> None:
    assert split_uri("s3://bucket/a/b") == ("bucket", "a/b")


@pytest.mark.parametrize("uri", ["bucket/key", "s3:///key", "https://bucket/key", ""])
def test_what_is_no_s3_location_is_refused_by_name(uri: str) -> None:
    with pytest.raises(ValueError, match="expected s3://bucket/key") as error:
        split_uri(uri)
    assert repr(uri) in str(error.value)
