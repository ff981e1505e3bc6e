from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from uuid import uuid4

import boto3
import pytest

from trainyard.inputs import InputEmptyError, InputMissingError, fingerprint, is_there, list_input


@pytest.fixture(scope="module")
def s3(local_aws_url: str) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=local_aws_url,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )


@pytest.fixture
def bucket(s3: Any) -> Iterator[str]:
    name = f"inputs-{uuid4().hex[:8]}"
    s3.create_bucket(Bucket=name)
    return name


def put(s3: Any, bucket: str, *keys: str, body: bytes = b"1 1:1\n") -> None:
    for key in keys:
        s3.put_object(Bucket=bucket, Key=key, Body=body)


@contextmanager
def calling(s3: Any, operation: str, then: Callable[[], object]) -> Iterator[list[object]]:
    """What was called meanwhile; after each call something else is done."""
    calls: list[object] = []

    def called(**_: object) -> None:
        calls.append(operation)
        then()

    s3.meta.events.register(f"after-call.s3.{operation}", called)
    try:
        yield calls
    finally:
        s3.meta.events.unregister(f"after-call.s3.{operation}", called)


def test_the_data_objects_of_a_folder_are_listed_by_key(s3: Any, bucket: str) -> None:
    put(s3, bucket, "f/part-1", "f/part-0", "f/_SUCCESS", "f/.part-0.crc", "f/_metadata")
    put(s3, bucket, "f/empty", body=b"")
    put(s3, bucket, "further/part-0")
    found = list_input(s3, f"s3://{bucket}/f/", marker="_SUCCESS")
    assert [item.uri for item in found] == [f"s3://{bucket}/f/part-0", f"s3://{bucket}/f/part-1"]
    assert {item.size for item in found} == {6}


def test_what_hadoop_hides_is_no_data(s3: Any, bucket: str) -> None:
    put(s3, bucket, "f/part-0", "f/_temporary/0/task_1/part-0", "f/_delta_log/0.json", "f/sub/part-1")
    found = list_input(s3, f"s3://{bucket}/f/", marker=None)
    assert [item.uri for item in found] == [f"s3://{bucket}/f/part-0", f"s3://{bucket}/f/sub/part-1"]


def test_one_object_is_not_a_prefix_of_others(s3: Any, bucket: str) -> None:
    put(s3, bucket, "f/train.libsvm", "f/train.libsvm.bak", "f/train.libsvm_old/part-0")
    (found,) = list_input(s3, f"s3://{bucket}/f/train.libsvm", marker="_SUCCESS")
    assert found.uri == f"s3://{bucket}/f/train.libsvm"


def test_more_objects_than_a_page_holds_are_all_listed(s3: Any, bucket: str) -> None:
    put(s3, bucket, *(f"many/part-{number:04}" for number in range(1_001)))
    assert len(list_input(s3, f"s3://{bucket}/many/", marker=None)) == 1_001


def test_a_folder_without_its_marker_is_not_whole(s3: Any, bucket: str) -> None:
    put(s3, bucket, "f/part-0")
    with pytest.raises(InputMissingError, match=f"s3://{bucket}/f/ has no _SUCCESS yet"):
        list_input(s3, f"s3://{bucket}/f/", marker="_SUCCESS")
    assert list_input(s3, f"s3://{bucket}/f/", marker=None)


def test_what_was_put_before_the_marker_while_the_folder_was_listed_is_not_lost(s3: Any, bucket: str) -> None:
    put(s3, bucket, "f/_SUCCESS", "f/part-0")
    with calling(s3, "ListObjectsV2", lambda: put(s3, bucket, "f/part-1")) as calls:
        found = list_input(s3, f"s3://{bucket}/f/", marker="_SUCCESS")
    assert [item.uri[-6:] for item in found] == ["part-0", "part-1"]
    assert len(calls) == 2


@pytest.mark.parametrize(
    ("seconds", "words", "calls"),
    [(11, "GMT", 1), (9, "GMT", 2), (11, "-0000", 1), (7211, "+0200", 1), (7209, "+0200", 2), (11, None, 2)],
)
def test_a_folder_that_was_marked_long_ago_by_the_store_s_clock_is_listed_once(
    s3: Any, bucket: str, seconds: int, words: str | None, calls: int
) -> None:
    """As for every launch of a night: its features are there."""
    put(s3, bucket, "f/_SUCCESS", "f/part-0")
    (marker,) = s3.list_objects_v2(Bucket=bucket, Prefix="f/_SUCCESS")["Contents"]
    date = marker["LastModified"] + timedelta(seconds=seconds)

    def dated(parsed: Any, **_: object) -> None:
        headers = parsed["ResponseMetadata"]["HTTPHeaders"]
        headers.pop("date")
        if words is not None:
            headers["date"] = f"{date:%a, %d %b %Y %H:%M:%S} {words}"

    s3.meta.events.register("after-call.s3.ListObjectsV2", dated)
    try:
        with calling(s3, "ListObjectsV2", lambda: None) as called:
            assert list_input(s3, f"s3://{bucket}/f/", marker="_SUCCESS")
    finally:
        s3.meta.events.unregister("after-call.s3.ListObjectsV2", dated)
    assert len(called) == calls


def test_a_marked_folder_without_a_row_is_empty_and_not_late(s3: Any, bucket: str) -> None:
    put(s3, bucket, "f/_SUCCESS", "f/part-0", body=b"")
    with pytest.raises(InputEmptyError, match=f"s3://{bucket}/f/ is whole and holds no row"):
        list_input(s3, f"s3://{bucket}/f/", marker="_SUCCESS")


def test_one_object_without_a_row_is_empty_and_not_late(s3: Any, bucket: str) -> None:
    put(s3, bucket, "f/train.libsvm", body=b"")
    with pytest.raises(InputEmptyError, match=f"s3://{bucket}/f/train.libsvm is whole and holds no row"):
        list_input(s3, f"s3://{bucket}/f/train.libsvm", marker="_SUCCESS")


@pytest.mark.parametrize(
    ("uri", "keys", "marker"),
    [
        ("f/", (), "_SUCCESS"),
        ("f/", ("f/part-0",), "_SUCCESS"),
        ("f/", ("f/part-0", "f/_SUCCESS"), "_SUCCESS"),
        ("f/", ("f/_SUCCESS",), "_SUCCESS"),
        ("f/", ("f/_SUCCESS", "further/part-0"), None),
        ("f/", (*(f"f/_hidden/{number:04}" for number in range(1_000)), "f/part-0"), None),
        ("f/train.libsvm", ("f/train.libsvm_old/part-0", "f/train.libsvm.bak"), None),
        ("f/train.libsvm", ("f/train.libsvm",), None),
    ],
)
def test_what_is_waited_for_is_what_is_then_listed(
    s3: Any, bucket: str, uri: str, keys: tuple[str, ...], marker: str | None
) -> None:
    """Were one of the two to ask for more, a worker would be started again and again until the wait is over."""
    put(s3, bucket, *keys)
    try:
        list_input(s3, f"s3://{bucket}/{uri}", marker=marker)
        missing = False
    except InputEmptyError:
        missing = False
    except InputMissingError:
        missing = True
    assert is_there(s3, f"s3://{bucket}/{uri}", marker=marker) is not missing


def test_the_fingerprint_changes_with_the_content_only(s3: Any, bucket: str) -> None:
    put(s3, bucket, "f/part-0")
    first = fingerprint(list_input(s3, f"s3://{bucket}/f/", marker=None))
    put(s3, bucket, "f/part-0")
    assert fingerprint(list_input(s3, f"s3://{bucket}/f/", marker=None)) == first
    put(s3, bucket, "f/part-0", body=b"0 1:1\n")
    assert fingerprint(list_input(s3, f"s3://{bucket}/f/", marker=None)) != first
