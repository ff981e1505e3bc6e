"""An input's S3 folder → the objects that lie in it now. A boto3 S3 client is handed in; no Airflow."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from trainyard.training import S3Uri, Sha256, split_uri


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
    whole = _says_so_itself(s3, uri, marker=marker)
    if whole is False and uri.endswith("/"):
        raise InputMissingError(f"{uri} has no {marker} yet; it marks the folder as whole")
    if whole is False:
        raise InputMissingError(f"{uri} is not there yet")
    objects = tuple(sorted(_data_objects(s3, uri), key=lambda item: item.uri))
    if not objects and whole:
        raise InputEmptyError(f"{uri} is whole and holds no row")
    if not objects:
        raise InputMissingError(f"{uri} holds no data object")
    return objects


def is_there(s3: Any, uri: str, *, marker: str | None) -> bool:
    """Whether :func:`list_input` would not call the input missing, by as few calls as tell it."""
    whole = _says_so_itself(s3, uri, marker=marker)
    return any(True for _ in _data_objects(s3, uri)) if whole is None else whole


def _says_so_itself(s3: Any, uri: str, *, marker: str | None) -> bool | None:
    """Whether the one object that tells it is there: a folder's marker, or the input itself; none: a folder without."""
    bucket, prefix = split_uri(uri)
    if prefix.endswith("/") and not marker:
        return None
    key = f"{prefix}{marker}" if prefix.endswith("/") else prefix
    found = s3.list_objects_v2(Bucket=bucket, Prefix=key, MaxKeys=1).get("Contents", ())
    return any(entry["Key"] == key for entry in found)


def _data_objects(s3: Any, uri: str) -> Iterator[InputObject]:
    bucket, prefix = split_uri(uri)
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        for entry in page.get("Contents", ()):
            # an object's key is the prefix of others' as well
            mine = prefix.endswith("/") or entry["Key"] == prefix
            if mine and entry["Size"] > 0 and not _is_hidden(entry["Key"][len(prefix) :]):
                yield InputObject(
                    S3Uri(f"s3://{bucket}/{entry['Key']}"), entry["Size"], entry["ETag"].strip('"')
                )


def _is_hidden(path: str) -> bool:
    return any(part.startswith(("_", ".")) for part in path.split("/"))


def fingerprint(objects: Sequence[InputObject]) -> Sha256:
    """sha256 over the location, size and ETag of each object: equal where the inputs are."""
    digest = hashlib.sha256()
    for item in objects:
        digest.update(f"{item.uri}\t{item.size}\t{item.etag}\n".encode())
    return Sha256(digest.hexdigest())
