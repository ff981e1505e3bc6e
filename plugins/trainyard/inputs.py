"""An input's S3 folder → the objects that lie in it now. A boto3 S3 client is handed in; no Airflow."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from trainyard.training import S3Uri, Sha256, split_uri


class InputMissingError(Exception):
    """An input is not there (yet); the text names the folder and what was looked for."""


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
    :raises InputMissingError: the marker, or every data object, is missing

    What starts with ``_`` or ``.``, itself or a folder above it, is no data, as Hadoop has it; an empty object holds no
    row.
    """
    bucket, prefix = split_uri(uri)
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    listed = [entry for page in pages for entry in page.get("Contents", ())]
    if not prefix.endswith("/"):
        # an object's key is the prefix of others' as well
        listed = [entry for entry in listed if entry["Key"] == prefix]
    if prefix.endswith("/") and marker and not any(entry["Key"] == prefix + marker for entry in listed):
        raise InputMissingError(f"{uri} has no {marker} yet; it marks the folder as whole")
    objects = tuple(
        InputObject(S3Uri(f"s3://{bucket}/{entry['Key']}"), entry["Size"], entry["ETag"].strip('"'))
        for entry in sorted(listed, key=lambda entry: entry["Key"])
        if not _is_hidden(entry["Key"][len(prefix) :]) and entry["Size"] > 0
    )
    if not objects:
        raise InputMissingError(f"{uri} holds no data object")
    return objects


def is_there(s3: Any, uri: str, *, marker: str | None) -> bool:
    """Whether an input seems to be there, by one call: its marker, or, where it has none, any data object.

    Where an input has no marker, the first thousand keys are looked at.
    """
    bucket, prefix = split_uri(uri)
    key = prefix + marker if marker and prefix.endswith("/") else prefix
    one = key != prefix or not prefix.endswith("/")
    found = s3.list_objects_v2(Bucket=bucket, Prefix=key, MaxKeys=1 if one else 1000).get("Contents", ())
    if one:
        return any(entry["Key"] == key for entry in found)
    return any(entry["Size"] > 0 and not _is_hidden(entry["Key"][len(prefix) :]) for entry in found)


def _is_hidden(path: str) -> bool:
    return any(part.startswith(("_", ".")) for part in path.split("/"))


def fingerprint(objects: Sequence[InputObject]) -> Sha256:
    """sha256 over the location, size and ETag of each object: equal where the inputs are."""
    digest = hashlib.sha256()
    for item in objects:
        digest.update(f"{item.uri}\t{item.size}\t{item.etag}\n".encode())
    return Sha256(digest.hexdigest())
