"""An input's S3 folder → the objects that lie in it now. A boto3 S3 client is handed in; no Airflow."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta, timezone
from email.utils import parsedate_to_datetime
from typing import Any

from trainyard.training import S3Uri, Sha256, split_uri

# S3 does not say that a listing shows one moment. A marker that is older than this was there before the folder was
# listed, and so was what was put before it; else that may be missing, and the folder is listed once more. Where a
# bucket is another's replica nothing tells, since objects keep their times and come in any order.
_LISTING_TAKES = timedelta(seconds=10)


class InputMissingError(Exception):
    """An input is not there (yet); the text names the folder and what was looked for."""


class InputEmptyError(InputMissingError):
    """An input is there, whole, and without a row: there is nothing to wait for."""


@dataclass(frozen=True)
class InputObject:
    """One listed object: what the job must find unchanged."""

    uri: S3Uri
    size: int
    etag: str


def list_input(s3: Any, uri: str, *, marker: str | None) -> tuple[InputObject, ...]:
    """The data objects below ``uri``, by key.

    :param s3: a boto3 S3 client
    :param uri: an S3 folder, or one object
    :param marker: name of the object that says the folder is whole, such as ``_SUCCESS``; none: any object will do
    :raises InputMissingError: the marker is missing, or of a folder without one every data object
    :raises InputEmptyError: the folder is marked as whole, or the one object is there, and no row is in it

    What starts with ``_`` or ``.``, itself or a folder above it, is no data, as Hadoop has it; an empty object holds no
    row.
    """
    bucket, prefix = split_uri(uri)
    is_folder = prefix.endswith("/")
    entries = _whole_folder(s3, uri, marker=marker) if is_folder else _one_object(s3, bucket, prefix)
    if not is_folder and not entries:
        raise InputMissingError(f"{uri} is not there yet")
    objects = tuple(_input_object(bucket, entry) for entry in entries if _is_data(entry, prefix))
    if objects:
        return tuple(sorted(objects, key=lambda item: item.uri))
    if is_folder and not marker:
        raise InputMissingError(f"{uri} holds no data object")
    raise InputEmptyError(f"{uri} is whole and holds no row")


def is_there(s3: Any, uri: str, *, marker: str | None) -> bool:
    """Whether :func:`list_input` would not call the input missing, by as few calls as tell it."""
    bucket, prefix = split_uri(uri)
    if not prefix.endswith("/"):
        return bool(_one_object(s3, bucket, prefix))
    if marker:
        return bool(_one_object(s3, bucket, f"{prefix}{marker}"))
    return any(_is_data(entry, prefix) for entry in _entries(_pages(s3, bucket, prefix)))


def _whole_folder(s3: Any, uri: str, *, marker: str | None) -> list[dict[str, Any]]:
    """The entries of a folder; where a marker says that it is whole, with all that was put before the marker.

    :raises InputMissingError: the marker is missing, which takes as many calls: the wait that follows takes one
    """
    bucket, prefix = split_uri(uri)
    pages = list(_pages(s3, bucket, prefix))
    marks = [entry for entry in _entries(pages) if marker and entry["Key"] == f"{prefix}{marker}"]
    if marker and not marks:
        raise InputMissingError(f"{uri} has no {marker} yet; it marks the folder as whole")
    if marks and not _was_there_before(marks[0], pages[0]):
        pages = list(_pages(s3, bucket, prefix))
    return list(_entries(pages))


def _was_there_before(entry: dict[str, Any], page: dict[str, Any]) -> bool:
    """Whether an object was there before a page was listed, by the clock of S3; not where that tells no time."""
    try:
        listed_at = parsedate_to_datetime(page["ResponseMetadata"]["HTTPHeaders"].get("date", ""))
    except ValueError:
        return False
    if listed_at.tzinfo is None:
        # not all stores say that HTTP's dates are all GMT
        listed_at = listed_at.replace(tzinfo=timezone.utc)
    return bool(entry["LastModified"] <= listed_at - _LISTING_TAKES)


def _one_object(s3: Any, bucket: str, key: str) -> list[dict[str, Any]]:
    """The entry of an object; empty where it is not there."""
    found = s3.list_objects_v2(Bucket=bucket, Prefix=key, MaxKeys=1)
    # an object's key is the prefix of others' as well
    return [entry for entry in _entries([found]) if entry["Key"] == key]


def _pages(s3: Any, bucket: str, prefix: str) -> Iterator[dict[str, Any]]:
    yield from s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)


def _entries(pages: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    return (entry for page in pages for entry in page.get("Contents", ()))


def _input_object(bucket: str, entry: dict[str, Any]) -> InputObject:
    return InputObject(S3Uri(f"s3://{bucket}/{entry['Key']}"), entry["Size"], entry["ETag"].strip('"'))


def _is_data(entry: dict[str, Any], prefix: str) -> bool:
    return entry["Size"] > 0 and not _is_hidden(entry["Key"][len(prefix) :])


def _is_hidden(path: str) -> bool:
    return any(part.startswith(("_", ".")) for part in path.split("/"))


def fingerprint(objects: Sequence[InputObject]) -> Sha256:
    """sha256 over the location, size and ETag of each object: equal where the inputs are."""
    digest = hashlib.sha256()
    for item in objects:
        digest.update(f"{item.uri}\t{item.size}\t{item.etag}\n".encode())
    return Sha256(digest.hexdigest())
