"""What boto3, Airflow's S3Hook and S3A ask of S3, held against what AWS documents; before a restart and after it."""

from __future__ import annotations

import signal
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

# keys that a file system cannot hold side by side, or that an emulator's own files are named like
AWKWARD = [
    "a",
    "a ",
    "a b",
    "a+b%20c",
    "a-b",
    "a.meta.json",
    "a.tmp",
    "a .tmp",
    "a .tmp/b",
    "a/",
    "a/b",
    "a/b/",
    "a/b/c",
    "a~",
    "ä/ö",
]


@pytest.fixture
def full(aws: Any, bucket: str) -> str:
    for key in AWKWARD:
        aws.s3.put_object(Bucket=bucket, Key=key, Body=key.encode())
    return bucket


def pages(
    aws: Any, bucket: str, operation: str = "list_objects_v2", size: int = 2, **members: Any
) -> list[str]:
    """Every key and common prefix, in the order in which pages of this size bring them."""
    found: list[str] = []
    for page in aws.s3.get_paginator(operation).paginate(
        Bucket=bucket, PaginationConfig={"PageSize": size}, **members
    ):
        found += [item["Key"] for item in page.get("Contents", ())]
        found += [item["Prefix"] for item in page.get("CommonPrefixes", ())]
    return found


def code_of(call: Callable[[], Any]) -> str:
    with pytest.raises(ClientError) as refused:
        call()
    return str(refused.value.response["Error"]["Code"])


def test_every_key_is_an_object_of_its_own(aws: Any, full: str) -> None:
    assert pages(aws, full) == sorted(AWKWARD)
    for key in AWKWARD:
        assert aws.s3.get_object(Bucket=full, Key=key)["Body"].read() == key.encode()
        assert aws.s3.head_object(Bucket=full, Key=key)["ContentLength"] == len(key.encode())


def test_objects_survive_a_kill_whatever_their_names(
    start_local_aws: Any, aws_at: Any, tmp_path: Path
) -> None:
    server = start_local_aws(tmp_path)
    aws = aws_at(server.url)
    aws.s3.create_bucket(Bucket="full")
    for key in AWKWARD:
        aws.s3.put_object(Bucket="full", Key=key, Body=key.encode())
    aws.s3.delete_object(Bucket="full", Key="a~")
    upload_in_parts(aws, "full", "parts")
    server.stop(signal.SIGKILL)
    # what the emulator writes first of an object and of its description
    (folder,) = tmp_path.glob("s3/*/full")
    for draft in ("half .tmp", "a.tmp .meta.json.tmp"):
        (folder / draft).write_bytes(b"hal")
    server.start()
    assert pages(aws, "full") == sorted({*AWKWARD, "parts"} - {"a~"})
    for key in set(AWKWARD) - {"a~"}:
        assert aws.s3.get_object(Bucket="full", Key=key)["Body"].read() == key.encode()
    assert aws.s3.get_object(Bucket="full", Key="parts", Range="bytes=-1")["Body"].read() == b"z"


@pytest.mark.parametrize("operation", ["list_objects", "list_objects_v2"])
def test_lists_fold_what_lies_behind_the_delimiter(aws: Any, full: str, operation: str) -> None:
    assert sorted(pages(aws, full, operation, Delimiter="/")) == [
        *["a", "a ", "a .tmp", "a .tmp/", "a b", "a+b%20c", "a-b", "a.meta.json", "a.tmp", "a/", "a~", "ä/"]
    ]
    assert pages(aws, full, operation, Prefix="a/") == ["a/", "a/b", "a/b/", "a/b/c"]
    assert sorted(pages(aws, full, operation, Prefix="a/", Delimiter="/")) == ["a/", "a/b", "a/b/"]


def test_a_list_starts_after_a_key_that_need_not_exist(aws: Any, full: str) -> None:
    after = {key: pages(aws, full, StartAfter=key) for key in ("a/", "a/a", "a~")}
    assert after["a/"] == after["a/a"] == ["a/b", "a/b/", "a/b/c", "a~", "ä/ö"]
    assert after["a~"] == ["ä/ö"]
    page = aws.s3.list_objects(Bucket=full, Marker="a/b", MaxKeys=1)
    assert [item["Key"] for item in page["Contents"]] == ["a/b/"]
    page = aws.s3.list_objects_v2(Bucket=full, MaxKeys=3, StartAfter="a-b")
    assert (page["KeyCount"], page["IsTruncated"], page["StartAfter"]) == (3, True, "a-b")


def test_a_batch_delete_takes_exactly_the_named(aws: Any, full: str) -> None:
    named = [{"Key": key} for key in ("a", "a/", "a/b/", "no such key")]
    answer = aws.s3.delete_objects(Bucket=full, Delete={"Objects": named})
    assert sorted(item["Key"] for item in answer["Deleted"]) == ["a", "a/", "a/b/", "no such key"]
    assert pages(aws, full) == sorted(set(AWKWARD) - {"a", "a/", "a/b/"})
    quiet = aws.s3.delete_objects(Bucket=full, Delete={"Objects": [{"Key": "a/b"}], "Quiet": True})
    assert "Deleted" not in quiet


def upload_in_parts(aws: Any, bucket: str, key: str) -> str:
    """Two parts, the first of the least size that S3 takes; the finished object's ETag."""
    upload = aws.s3.create_multipart_upload(Bucket=bucket, Key=key, Metadata={"made": "in parts"})
    assert upload["Key"] == key
    named = {"Bucket": bucket, "Key": key, "UploadId": upload["UploadId"]}
    parts = [
        {"PartNumber": number, "ETag": aws.s3.upload_part(PartNumber=number, Body=body, **named)["ETag"]}
        for number, body in ((1, b"a" * (5 << 20)), (2, b"z"))
    ]
    assert [part["Size"] for part in aws.s3.list_parts(**named)["Parts"]] == [5 << 20, 1]
    done = aws.s3.complete_multipart_upload(MultipartUpload={"Parts": parts}, **named)
    assert done["Key"] == key
    return str(done["ETag"])


def test_a_multi_part_upload_appears_whole_when_it_is_completed(aws: Any, bucket: str) -> None:
    etag = upload_in_parts(aws, bucket, "in parts/")
    head = aws.s3.head_object(Bucket=bucket, Key="in parts/")
    assert (head["ContentLength"], head["Metadata"], head["ETag"]) == (
        (5 << 20) + 1,
        {"made": "in parts"},
        etag,
    )
    assert etag.endswith('-2"')


def test_an_aborted_upload_leaves_nothing(aws: Any, bucket: str) -> None:
    upload = aws.s3.create_multipart_upload(Bucket=bucket, Key="never")["UploadId"]
    aws.s3.upload_part(Bucket=bucket, Key="never", UploadId=upload, PartNumber=1, Body=b"x")
    (listed,) = aws.s3.list_multipart_uploads(Bucket=bucket)["Uploads"]
    assert (listed["Key"], listed["UploadId"]) == ("never", upload)
    aws.s3.abort_multipart_upload(Bucket=bucket, Key="never", UploadId=upload)
    assert "Uploads" not in aws.s3.list_multipart_uploads(Bucket=bucket)
    assert pages(aws, bucket) == []


def test_the_transfer_manager_splits_and_joins(aws: Any, bucket: str, tmp_path: Path) -> None:
    sent, got = tmp_path / "sent", tmp_path / "got"
    sent.write_bytes(bytes(range(256)) * (36 << 12))
    config = boto3.s3.transfer.TransferConfig(multipart_threshold=8 << 20, multipart_chunksize=8 << 20)
    aws.s3.upload_file(str(sent), bucket, "large", Config=config)
    aws.s3.download_file(bucket, "large", str(got), Config=config)
    assert got.read_bytes() == sent.read_bytes()


def test_a_write_with_a_condition_is_made_only_where_it_holds(aws: Any, bucket: str) -> None:
    put = {"Bucket": bucket, "Key": "once"}
    first = aws.s3.put_object(Body=b"1", IfNoneMatch="*", **put)["ETag"]
    assert code_of(lambda: aws.s3.put_object(Body=b"2", IfNoneMatch="*", **put)) == "PreconditionFailed"
    assert code_of(lambda: aws.s3.put_object(Body=b"2", IfMatch='"0"', **put)) == "PreconditionFailed"
    aws.s3.put_object(Body=b"3", IfMatch=first, **put)
    assert aws.text(bucket, "once") == "3"
    assert (
        code_of(lambda: aws.s3.put_object(Bucket=bucket, Key="none", Body=b"", IfMatch=first)) == "NoSuchKey"
    )


def test_of_many_writers_at_once_one_wins(aws: Any, bucket: str) -> None:
    won: list[int] = []
    together = threading.Barrier(8)

    def write(number: int) -> None:
        together.wait(120)
        try:
            aws.s3.put_object(Bucket=bucket, Key="lock", Body=str(number).encode(), IfNoneMatch="*")
        except ClientError:
            return
        won.append(number)

    writers = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(120)
    assert [str(number) for number in won] == [aws.text(bucket, "lock")]


@pytest.mark.parametrize(
    ("asked", "got", "said"),
    [
        ("bytes=2-4", b"cde", "bytes 2-4/8"),
        ("bytes=6-", b"gh", "bytes 6-7/8"),
        ("bytes=-3", b"fgh", "bytes 5-7/8"),
        ("bytes=5-99", b"fgh", "bytes 5-7/8"),
    ],
)
def test_a_range_is_that_part_of_the_object(aws: Any, bucket: str, asked: str, got: bytes, said: str) -> None:
    aws.put(bucket, "letters", "abcdefgh")
    answer = aws.s3.get_object(Bucket=bucket, Key="letters", Range=asked)
    assert (answer["Body"].read(), answer["ContentRange"]) == (got, said)
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 206


def test_a_range_behind_the_end_is_refused(aws: Any, bucket: str) -> None:
    aws.put(bucket, "letters", "abcdefgh")
    assert (
        code_of(lambda: aws.s3.get_object(Bucket=bucket, Key="letters", Range="bytes=8-")) == "InvalidRange"
    )


def test_a_copy_keeps_or_replaces_metadata_as_it_is_told(aws: Any, bucket: str) -> None:
    aws.s3.put_object(Bucket=bucket, Key="from/ä b", Body=b"x", Metadata={"owner": "me"})
    source = {"Bucket": bucket, "Key": "from/ä b"}
    aws.s3.copy_object(Bucket=bucket, Key="kept", CopySource=source)
    aws.s3.copy_object(
        Bucket=bucket, Key="told", CopySource=source, Metadata={"owner": "you"}, MetadataDirective="REPLACE"
    )
    owners = [aws.s3.head_object(Bucket=bucket, Key=key)["Metadata"]["owner"] for key in ("kept", "told")]
    assert owners == ["me", "you"]
    upload = aws.s3.create_multipart_upload(Bucket=bucket, Key="part by part")["UploadId"]
    part = aws.s3.upload_part_copy(
        Bucket=bucket, Key="part by part", UploadId=upload, PartNumber=1, CopySource=source
    )
    parts = [{"PartNumber": 1, "ETag": part["CopyPartResult"]["ETag"]}]
    aws.s3.complete_multipart_upload(
        Bucket=bucket, Key="part by part", UploadId=upload, MultipartUpload={"Parts": parts}
    )
    assert aws.text(bucket, "part by part") == "x"
    missing = {"Bucket": bucket, "Key": "missing"}
    assert code_of(lambda: aws.s3.copy_object(Bucket=bucket, Key="to", CopySource=missing)) == "NoSuchKey"


def test_what_is_not_there_is_said_in_awss_words(aws: Any, bucket: str) -> None:
    assert code_of(lambda: aws.s3.get_object(Bucket=bucket, Key="none")) == "NoSuchKey"
    assert code_of(lambda: aws.s3.head_object(Bucket=bucket, Key="none")) == "404"
    assert code_of(lambda: aws.s3.list_objects_v2(Bucket="no-such-bucket")) == "NoSuchBucket"
    assert code_of(lambda: aws.s3.head_bucket(Bucket="no-such-bucket")) == "404"
    with pytest.raises(ClientError) as refused:
        aws.s3.get_object(Bucket=bucket, Key="none")
    assert refused.value.response["Error"]["Resource"] == f"/{bucket}/none"
    aws.s3.delete_object(Bucket=bucket, Key="none")


def test_a_bucket_with_objects_is_not_deleted(aws: Any, full: str) -> None:
    assert code_of(lambda: aws.s3.delete_bucket(Bucket=full)) == "BucketNotEmpty"


def test_a_form_upload_is_refused_by_name(aws: Any, bucket: str) -> None:
    form = urllib.request.Request(
        f"{aws.url}/{bucket}", data=b"--x--", headers={"Content-Type": "multipart/form-data; boundary=x"}
    )
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(form, timeout=120)
    assert refused.value.code == 501
    assert b"no form uploads" in refused.value.read()


def test_a_presigned_link_works_with_any_keys(aws: Any, bucket: str) -> None:
    aws.put(bucket, "linked/ä b", "text")
    link = aws.s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "linked/ä b"})
    with urllib.request.urlopen(link, timeout=120) as answer:
        assert answer.read() == b"text"


@pytest.mark.parametrize(
    ("host", "path"),
    [
        ("{bucket}.localhost", "/a/b"),
        ("{bucket}.s3.localhost", "/a/b"),
        ("s3.localhost", "/{bucket}/a/b"),
        ("localhost", "/{bucket}/a/b"),
    ],
)
def test_a_bucket_in_the_hosts_name_is_the_same_bucket(aws: Any, bucket: str, host: str, path: str) -> None:
    aws.put(bucket, "a/b", "text")
    named = {"Host": f"{host.format(bucket=bucket)}:{aws.url.rpartition(':')[2]}"}
    request = urllib.request.Request(aws.url + path.format(bucket=bucket), headers=named)
    with urllib.request.urlopen(request, timeout=120) as answer:
        assert answer.read() == b"text"


def test_keys_at_the_root_may_begin_with_an_underscore_in_either_style(aws: Any, bucket: str) -> None:
    """Such as the `_SUCCESS` of a job that writes to a bucket's root."""
    request = urllib.request.Request(
        f"{aws.url}/_SUCCESS", method="PUT", data=b"x", headers={"Host": f"{bucket}.localhost"}
    )
    with urllib.request.urlopen(request, timeout=120) as answer:
        assert answer.status == 200
    assert aws.keys(bucket) == ["_SUCCESS"]


def test_airflows_hook_finds_its_way(aws: Any, full: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow.providers.amazon.aws.hooks.s3 import S3Hook  # noqa: PLC0415 - takes seconds to import

    uri = f"aws://test:test@/?region_name=us-east-1&endpoint_url={aws.url.replace(':', '%3A').replace('/', '%2F')}"
    monkeypatch.setenv("AIRFLOW_CONN_AWS_HERE", uri)
    hook = S3Hook("aws_here")
    assert hook.check_for_key("a/b", full)
    assert not hook.check_for_key("a/none", full)
    assert hook.list_keys(full, prefix="a/", page_size=2) == ["a/", "a/b", "a/b/", "a/b/c"]
    assert hook.list_prefixes(full, delimiter="/") == ["a .tmp/", "a/", "ä/"]
    assert hook.check_for_wildcard_key("a/*/c", full)
    hook.load_string("new", "new/key", full)
    assert hook.read_key("new/key", full) == "new"
    with pytest.raises(ValueError, match="already exists"):
        hook.load_string("newer", "new/key", full)
    hook.copy_object("new/key", "new/copy", full, full)
    hook.delete_objects(full, ["new/key", "new/copy"])
    assert hook.list_keys(full, prefix="new/") == []
