"""Every fault of a training folder is refused with its code and a sentence, and costs nobody else anything."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from botocore.response import StreamingBody

from trainyard.publishing import read_failure
from trainyard.training import Training

if TYPE_CHECKING:
    from conftest import Folder, Yard

TOO_WIDE = {"indices": [0, 240], "values": [1.0, 2.0]}
UNPAIRED = {"indices": [0], "values": [1.0, 2.0]}
REPEATED = {"indices": [3, 3], "values": [1.0, 2.0]}


def coefficients(value: dict[str, Any]) -> dict[str, Any]:
    return {"artifact": {"parameters": {"intercept": 0.0, "coefficients": value}}}


def metrics(**on_test: Any) -> dict[str, Any]:
    return {"metrics": {"metrics": {"test": on_test}}}


@pytest.mark.parametrize(
    ("parts", "code", "sentence"),
    [
        (
            {"manifest": {"format_version": 3}},
            "format_too_new",
            "manifest.json has format_version 3, later than the 2",
        ),
        (
            {"manifest": {"format_version": "1"}},
            "manifest_unreadable",
            "format_version '1'; accepted are 2 to 2",
        ),
        ({"manifest": {"status": "failed"}}, "manifest_unreadable", "status: Input should be 'succeeded'"),
        ({"manifest": {"files": {}}}, "file_missing", "manifest.json does not list metrics.json"),
        (
            {"manifest": {"request_sha256": "0" * 64}},
            "request_changed",
            "request.json has sha256 .* the manifest says 0",
        ),
        ({"request": {"num_features": 241}}, "request_changed", "request.json has sha256 .* the ledger says"),
        ({"artifact": {"format_version": 3}}, "format_too_new", "artifact.json has format_version 3"),
        (
            {"artifact": {"threshold": 1.5}},
            "file_invalid",
            r"threshold is 1.5; expected a probability from 0 to 1",
        ),
        ({"artifact": {"threshold": -0.1}}, "file_invalid", "threshold is -0.1; expected a probability"),
        (
            {"artifact": {"threshold": float("nan")}},
            "file_invalid",
            "threshold: Input should be a finite number",
        ),
        ({"artifact": {"threshold": 0.4}}, "artifact_mismatch", "threshold is 0.4, metrics.json has 0.5"),
        (
            {"artifact": {"num_features": 241}},
            "artifact_mismatch",
            "num_features is 241, request.json has 240",
        ),
        (
            {"artifact": {"feature_space": "v2"}},
            "artifact_mismatch",
            "feature_space is 'v2', request.json has 'hotels-v1'",
        ),
        ({"artifact": {"lineage": {}}}, "artifact_mismatch", "lineage.training_id is None"),
        (
            {"artifact": {"kind": "oracle"}},
            "file_invalid",
            "kind is 'oracle'; expected logistic_regression, linear_svc",
        ),
        (
            coefficients({"indices": [0], "values": [float("nan")]}),
            "file_invalid",
            "coefficients.values holds what is no finite number",
        ),
        (
            coefficients({"indices": [0], "values": [1e999]}),
            "file_invalid",
            "coefficients.values holds what is no finite number",
        ),
        (
            coefficients(TOO_WIDE),
            "file_invalid",
            "coefficients: indices reach from 0 to 240; accepted are 0 to 239",
        ),
        (coefficients(UNPAIRED), "file_invalid", "1 indices for 2 values"),
        (coefficients(REPEATED), "file_invalid", "an index stands twice"),
        (metrics(auc=float("inf")), "file_invalid", "metrics.test.auc: Input should be a finite number"),
        (
            metrics(auc=None),
            "file_invalid",
            r"metrics.test.auc: Input should be a valid number \(it is None\)",
        ),
        ({"metrics": {"warnings": [{"code": "odd", "sentence": "nul\0"}]}}, "file_invalid", r"U\+0000"),
        (
            {"metrics": {"warnings": [{"code": "odd", "more": float("nan")}]}},
            "file_invalid",
            "number or a character that JSON does not",
        ),
        (
            {"metrics": {"warnings": [{"code": "odd", "more": "\ud800"}]}},
            "file_invalid",
            "number or a character that JSON does not",
        ),
        (
            {"metrics": {"iterations": 2**31}},
            "file_invalid",
            "iterations: Input should be less than 2147483648",
        ),
        (
            {
                "curves": {
                    "curves": {"roc": {"split": "test", "x_name": "a", "y_name": "b", "x": [1], "y": []}}
                }
            },
            "file_invalid",
            "curves.roc: 1 x for 0 y",
        ),
    ],
)
def test_a_folder_that_does_not_hold_is_refused_and_its_sibling_published(
    yard: Yard, parts: dict[str, Any], code: str, sentence: str
) -> None:
    bad, good = yard.succeeded("hotels", **parts), yard.succeeded("flights")
    refused, published = yard.publish(bad, good).outcomes
    assert (refused.status, refused.failure_code) == ("failed", code)
    assert re.search(sentence, refused.sentence), refused.sentence
    assert "attempt-1/" in refused.sentence
    assert published.status == "activated"
    assert list(yard.live()) == ["flights"]
    assert yard.rows("SELECT failure_code, failure_sentence FROM analytics.failures") == [
        (code, refused.sentence)
    ]


@pytest.mark.parametrize("field", ["deployment", "portfolio", "model", "data_date", "training_id", "attempt"])
def test_another_trainings_manifest_is_refused_by_each_field(yard: Yard, field: str) -> None:
    training = yard.succeeded("hotels")
    folder = yard.folder(training)
    other = {"data_date": "2026-11-21", "attempt": 2}.get(field, "other")
    replace(folder, manifest={"training": folder.identity | {field: other}}).write(yard.s3)
    (outcome,) = yard.publish(training).outcomes
    assert outcome.failure_code == "wrong_training"
    assert f"its {field} is {other}, expected" in outcome.sentence


def cut(name: str) -> Callable[[Folder, Any], None]:
    def damage(folder: Folder, s3: Any) -> None:
        folder.put(s3, name, folder.files()[name][:-3])

    return damage


def flip(name: str) -> Callable[[Folder, Any], None]:
    def damage(folder: Folder, s3: Any) -> None:
        content = folder.files()[name]
        folder.put(s3, name, content[:-1] + bytes([content[-1] ^ 1]))

    return damage


def lose(name: str) -> Callable[[Folder, Any], None]:
    def damage(folder: Folder, s3: Any) -> None:
        folder.delete(s3, name)

    return damage


def cut_manifest(folder: Folder, s3: Any) -> None:
    folder.put(s3, "manifest.json", b'{"format_version": 2, "status": "succ')


@pytest.mark.parametrize(
    ("damage", "code", "sentence"),
    [
        (lose("manifest.json"), "no_manifest", "holds no manifest.json"),
        (cut_manifest, "manifest_unreadable", "manifest.json is no JSON .* cut short"),
        (lose("request.json"), "file_missing", "request.json is gone"),
        *(
            (lose(name), "file_missing", f"{name} is gone, but the manifest lists it")
            for name in ("artifact.json", "model/metadata/part-00000")
        ),
        *(
            (cut(name), "file_cut_short", f"{name} has [0-9]+ bytes; the manifest says [0-9]+")
            for name in ("artifact.json", "metrics.json", "curves.json", "model/metadata/part-00000")
        ),
        *(
            (flip(name), "checksum_mismatch", f"{name} has sha256 [0-9a-f]+; the manifest says")
            for name in ("artifact.json", "metrics.json", "curves.json")
        ),
    ],
)
def test_a_damaged_folder_is_refused(
    yard: Yard, damage: Callable[[Folder, Any], None], code: str, sentence: str
) -> None:
    training = yard.succeeded("hotels")
    damage(yard.folder(training), yard.s3)
    (outcome,) = yard.publish(training).outcomes
    assert outcome.failure_code == code
    assert re.search(sentence, outcome.sentence), outcome.sentence


class ReplacedS3:
    """An S3 client of a store where one file is written anew between its listing and its reading."""

    def __init__(self, s3: Any, uri: str, new: Callable[[bytes], bytes]) -> None:
        self._s3, self._uri, self._new = s3, uri, new

    def get_object(self, *, Bucket: str, Key: str) -> Any:  # noqa: N803 (boto3's names)
        answer = self._s3.get_object(Bucket=Bucket, Key=Key)
        if self._uri == f"s3://{Bucket}/{Key}":
            content = self._new(answer["Body"].read())
            answer["Body"] = StreamingBody(io.BytesIO(content), len(content))
        return answer

    def get_paginator(self, name: str) -> Any:
        return self._s3.get_paginator(name)


@pytest.mark.parametrize("name", ["artifact.json", "metrics.json"])
@pytest.mark.parametrize(
    ("new", "change"), [(lambda content: content[:-1], -1), (lambda content: content + b" " * 99, 99)]
)
def test_a_file_that_changes_after_it_was_listed_is_refused(
    yard: Yard, name: str, new: Callable[[bytes], bytes], change: int
) -> None:
    changing, good = yard.succeeded("hotels"), yard.succeeded("flights")
    size = len(yard.folder(changing).files()[name])
    s3 = ReplacedS3(yard.s3, f"{changing.attempt_folder(1)}{name}", new)
    refused, published = replace(yard, s3=s3).publish(changing, good).outcomes
    assert (refused.failure_code, published.status) == ("file_cut_short", "activated")
    assert f"{name} has {size + change} bytes; the manifest says {size}" in refused.sentence


def test_an_artifact_that_is_no_gzip_is_refused(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    training = yard.training("hotels")
    yard.attempt(training)
    folder = yard.folder(training, gzipped=True)
    files = folder.files() | {"artifact.json.gz": b"not gzip"}
    monkeypatch.setattr(type(folder), "files", lambda _: dict(files))
    folder.write(yard.s3)
    (outcome,) = yard.publish(training).outcomes
    assert outcome.failure_code == "file_invalid"
    assert "artifact.json.gz is no gzip file" in outcome.sentence


@pytest.mark.parametrize(
    "content",
    [
        b"{",
        b'{"format_version": 9, "code": "x", "sentence": "y"}',
        b'{"format_version": 2, "code": "Not A Code", "sentence": "y"}',
        b'{"format_version": 2, "code": "x", "sentence": "nul \\u0000"}',
    ],
)
def test_a_failure_that_cannot_be_read_says_nothing(yard: Yard, content: bytes) -> None:
    training = yard.training("hotels")
    yard.attempt(training, outcome="failed", failure_code="step_failed", failure_reason="The step failed.")
    yard.folder(training).put(yard.s3, "failure.json", content)
    assert read_failure(yard.s3, training.attempt_folder(1)) is None
    assert yard.publish(training).outcomes[0].failure_code == "step_failed"


def test_a_very_long_failure_is_cut(yard: Yard) -> None:
    training: Training = yard.training("hotels")
    content = json.dumps({"format_version": 2, "code": "x", "sentence": "y" * 5000, "place": {"file": "f"}})
    yard.folder(training).put(yard.s3, "failure.json", content.encode())
    told = read_failure(yard.s3, training.attempt_folder(1))
    assert told is not None
    assert (len(told.sentence), told.place) == (1000, "f")


class TroubledS3:
    """An S3 client whose reads below one folder fail."""

    def __init__(self, s3: Any, prefix: str, error: Exception) -> None:
        self._s3, self._prefix, self._error = s3, prefix, error

    def get_object(self, *, Bucket: str, Key: str) -> Any:  # noqa: N803 (boto3's names)
        if self._prefix in Key:
            raise self._error
        return self._s3.get_object(Bucket=Bucket, Key=Key)

    def get_paginator(self, name: str) -> Any:
        return self._s3.get_paginator(name)


def test_a_folder_that_may_not_be_read_fails_its_own_model(yard: Yard) -> None:
    bad, good = yard.succeeded("hotels"), yard.succeeded("flights")
    denied = ClientError({"Error": {"Code": "AccessDenied"}}, "GetObject")
    troubled = replace(yard, s3=TroubledS3(yard.s3, "/hotels/", denied))
    refused, published = troubled.publish(bad, good).outcomes
    assert (refused.failure_code, published.status) == ("access_denied", "activated")
    assert "needs s3:GetObject and s3:ListBucket there" in refused.sentence


@pytest.mark.parametrize(
    "error",
    [
        EndpointConnectionError(endpoint_url="http://127.0.0.1:1"),
        ClientError({"Error": {"Code": "SlowDown"}}, "GetObject"),
        ClientError({"Error": {"Code": "NoSuchBucket"}}, "GetObject"),
    ],
)
def test_a_store_in_trouble_fails_the_task_before_anything_is_written(yard: Yard, error: Exception) -> None:
    bad, good = yard.succeeded("hotels"), yard.succeeded("flights")
    with pytest.raises(type(error)):
        replace(yard, s3=TroubledS3(yard.s3, "/hotels/", error)).publish(bad, good)
    assert yard.live() == {}
    assert yard.rows("SELECT count(*) FROM analytics.training") == [(0,)]


def test_the_data_date_is_compared_as_a_date(yard: Yard) -> None:
    training = yard.succeeded("hotels", data_date=date(2026, 1, 2))
    assert yard.publish(training).outcomes[0].status == "activated"
