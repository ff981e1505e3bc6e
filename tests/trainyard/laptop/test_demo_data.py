"""The demo's data are real LibSVM of the stated width, the same for every date, and put into S3 once."""

from __future__ import annotations

import uuid
from datetime import date
from pathlib import Path
from typing import Any

import boto3
import numpy as np
import pytest
from botocore.config import Config
from sklearn.metrics import roc_auc_score

from trainyard.laptop.demo_data import MODELS, feature_files, write_features
from trainyard.laptop.travel_shop import Shop, sessions, true_scores, truth
from trainyard.laptop.travel_shops import FLIGHTS, HOTELS

NUM_FEATURES = {"breast_cancer": 30, "flights": 201, "hotels": 202, "original_sample": 692}
DAYS = [date(2026, 11, 22), date(2026, 11, 21), date(2026, 11, 20)]
SHOPS = pytest.mark.parametrize("shop", [HOTELS, FLIGHTS], ids=["hotels", "flights"])


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, bytes]]:
    return {model: feature_files(model) for model in MODELS}


def rows_of(files: dict[str, bytes], split: str) -> list[str]:
    return (
        b"".join(content for name, content in sorted(files.items()) if name.startswith(split))
        .decode()
        .splitlines()
    )


@pytest.mark.parametrize("model", sorted(NUM_FEATURES))
def test_every_row_is_libsvm_of_the_stated_width(files: dict[str, dict[str, bytes]], model: str) -> None:
    largest = 0
    for row in rows_of(files[model], "train") + rows_of(files[model], "test"):
        label, *items = row.split(" ")
        assert label in ("0", "1")
        indices = [int(item.partition(":")[0]) for item in items]
        assert indices == sorted(set(indices))
        largest = max(largest, indices[-1] if indices else 0)
        assert not indices or indices[0] >= 1
    assert largest <= NUM_FEATURES[model]
    # the pixels at the edge of the original sample are blank
    assert largest == NUM_FEATURES[model] or model == "original_sample"


@pytest.mark.parametrize("model", sorted(NUM_FEATURES))
def test_both_splits_have_both_classes_and_several_parts(
    files: dict[str, dict[str, bytes]], model: str
) -> None:
    for split in ("train", "test"):
        assert {row[0] for row in rows_of(files[model], split)} == {"0", "1"}
        assert len([name for name in files[model] if name.startswith(f"{split}/part-")]) > 1


def test_sizes(files: dict[str, dict[str, bytes]]) -> None:
    counts = {model: [len(rows_of(files[model], split)) for split in ("train", "test")] for model in files}
    assert counts["original_sample"] == [50, 50]
    assert sum(counts["breast_cancer"]) == 569
    for model in ("hotels", "flights"):
        assert counts[model][0] >= 50_000
        assert counts[model][1] >= 20_000
    assert sum(len(content) for model in files.values() for content in model.values()) < 30_000_000


def test_halves_of_the_samples_are_disjoint(files: dict[str, dict[str, bytes]]) -> None:
    for model in ("breast_cancer", "original_sample"):
        assert not set(rows_of(files[model], "train")) & set(rows_of(files[model], "test"))


def test_data_are_the_same_at_every_call(files: dict[str, dict[str, bytes]]) -> None:
    assert {model: feature_files(model) for model in MODELS} == files


@SHOPS
def test_shop_has_named_features_and_a_plausible_truth(shop: Shop) -> None:
    assert len(set(shop.feature_names)) == len(shop.feature_names) >= 200
    drawn = sessions(shop, "test")
    assert 0.02 <= drawn.booked.mean() <= 0.1
    assert 0.70 <= roc_auc_score(drawn.booked, true_scores(shop, drawn.categories)) <= 0.85


@SHOPS
def test_bookings_follow_the_truth(shop: Shop) -> None:
    drawn = sessions(shop, "train")
    chances = true_scores(shop, drawn.categories)
    for tenth in np.array_split(np.argsort(chances), 10):
        expected = chances[tenth].mean()
        assert drawn.booked[tenth].mean() == pytest.approx(expected, abs=4 * np.sqrt(expected / len(tenth)))


@SHOPS
def test_splits_are_draws_of_their_own(shop: Shop) -> None:
    train, test = sessions(shop, "train").categories, sessions(shop, "test").categories
    assert not np.array_equal(train[: len(test)], test)
    assert not {row.tobytes() for row in train} & {row.tobytes() for row in test}


def test_libsvm_index_is_the_place_of_the_feature_name(files: dict[str, dict[str, bytes]]) -> None:
    drawn = sessions(HOTELS, "train")
    categories = [f"{group.name}={category}" for group in HOTELS.groups for category in group.categories]
    assert len(categories) == len(truth(HOTELS).effects)
    said = {name for name in (categories[n] for n in drawn.categories[0]) if name in HOTELS.feature_names}
    _, *items = rows_of(files["hotels"], "train")[0].split(" ")
    assert {HOTELS.feature_names[int(item.partition(":")[0]) - 1] for item in items} == said


def test_cached_files_are_taken_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = feature_files("original_sample", tmp_path)
    monkeypatch.setattr("trainyard.laptop.demo_data.MODELS", {})
    assert feature_files("original_sample", tmp_path) == made


@pytest.fixture
def s3(local_aws_url: str) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=local_aws_url,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(retries={"total_max_attempts": 1}),
    )


@pytest.fixture
def bucket(s3: Any) -> str:
    name = f"test-{uuid.uuid4().hex[:12]}"
    s3.create_bucket(Bucket=name)
    return name


def objects(s3: Any, bucket: str) -> dict[str, tuple[str, Any]]:
    listed = s3.list_objects_v2(Bucket=bucket).get("Contents", [])
    return {entry["Key"]: (entry["ETag"], entry["LastModified"]) for entry in listed}


def test_every_date_gets_the_same_objects_and_its_markers(s3: Any, bucket: str, tmp_path: Path) -> None:
    write_features(s3, bucket=bucket, data_dates=DAYS, cache=tmp_path)
    found = objects(s3, bucket)
    for model in MODELS:
        names = {*feature_files(model, tmp_path), "train/_SUCCESS", "test/_SUCCESS"}
        for name in names:
            etags = {found[f"{model}/{day}/{name}"][0] for day in DAYS}
            assert len(etags) == 1, name
    assert len(found) == len(DAYS) * sum(len(feature_files(model, tmp_path)) + 2 for model in MODELS)


def test_what_is_there_is_left_alone_and_what_is_not_is_added(
    s3: Any, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_features(s3, bucket=bucket, data_dates=DAYS[1:2], cache=tmp_path)
    before = objects(s3, bucket)
    # a further date is copied inside S3, never generated again
    monkeypatch.setattr("trainyard.laptop.demo_data.MODELS", {"flights": None, "original_sample": None})
    write_features(s3, bucket=bucket, data_dates=DAYS[:2], cache=None)
    after = objects(s3, bucket)
    assert {key: after[key] for key in before} == before
    assert f"flights/{DAYS[0]}/train/_SUCCESS" in after
    assert f"breast_cancer/{DAYS[0]}/train/_SUCCESS" not in after


def test_folder_without_its_marker_is_written_again(s3: Any, bucket: str, tmp_path: Path) -> None:
    write_features(s3, bucket=bucket, data_dates=DAYS[:1], cache=tmp_path)
    s3.delete_object(Bucket=bucket, Key=f"hotels/{DAYS[0]}/train/_SUCCESS")
    s3.delete_object(Bucket=bucket, Key=f"hotels/{DAYS[0]}/train/part-00001.libsvm")
    write_features(s3, bucket=bucket, data_dates=DAYS[:1], cache=tmp_path)
    assert {f"hotels/{DAYS[0]}/train/_SUCCESS", f"hotels/{DAYS[0]}/train/part-00001.libsvm"} <= set(
        objects(s3, bucket)
    )
