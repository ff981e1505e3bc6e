"""A folder in S3, and its files held to what its manifest promises: by size and digest, whatever they hold."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

from botocore.exceptions import ClientError

from trainyard.publishing.formats import File, Manifest
from trainyard.publishing.spool import Kept, Spool
from trainyard.training import split_uri

CHUNK_BYTES = 1 << 20


class RefusedError(Exception):
    """A folder that cannot be published.

    :param code: for grouping
    :param sentence: for a person
    """

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code
        self.sentence = sentence


class S3Folder:
    """A folder in S3.

    :param spool: where its files are kept; none where they are only looked at
    """

    def __init__(self, s3: Any, uri: str, spool: Spool | None) -> None:
        self._s3 = s3
        self._spool = spool
        self.uri = uri
        self._bucket, self._prefix = split_uri(uri)

    @property
    def spool(self) -> Spool:
        assert self._spool is not None
        return self._spool

    def has(self, name: str) -> bool:
        """Whether there is a file of that name, whatever it holds."""
        try:
            self._s3.head_object(Bucket=self._bucket, Key=self._prefix + name)
        except ClientError as error:
            if _is_absent(error):
                return False
            raise
        return True

    def get(self, name: str) -> bytes | None:
        """The bytes of a small file, None where there is none."""
        body = self._body(name)
        return None if body is None else bytes(body.read())

    def promise(self, manifest: Manifest, name: str) -> File:
        """What the manifest says of a file."""
        promise = manifest.files.get(name)
        if promise is None:
            raise RefusedError("file_missing", f"{self.uri}manifest.json does not list {name}")
        return promise

    def promised(self, manifest: Manifest, name: str) -> Kept:
        """A file that the manifest lists, found to be what it says, in the spool."""
        promise = self.promise(manifest, name)
        kept, offset = self.spool.reserve(promise.size), 0
        for chunk in self._checked_chunks(name, promise):
            self.spool.write(kept, offset, chunk)
            offset += len(chunk)
        return kept

    def promised_content(self, manifest: Manifest, name: str) -> bytearray:
        """The same in memory, at no time twice, of a file that need not be kept."""
        content = bytearray()
        for chunk in self._checked_chunks(name, self.promise(manifest, name)):
            content += chunk
        return content

    def _checked_chunks(self, name: str, promise: File) -> Iterator[bytes]:
        """As many bytes as were promised; at their end raises RefusedError unless they are what was."""
        body = self._body(name)
        if body is None:
            raise RefusedError("file_missing", f"{self.uri}{name} is gone, but the manifest lists it")
        size, digest = 0, hashlib.sha256()
        for chunk in body.iter_chunks(CHUNK_BYTES):
            yield chunk[: max(0, promise.size - size)]
            size += len(chunk)
            digest.update(chunk)
        if size != promise.size:
            raise RefusedError("file_cut_short", self._wrong_size(name, size, promise.size))
        if digest.hexdigest() != promise.sha256:
            raise RefusedError(
                "checksum_mismatch",
                f"{self.uri}{name} has sha256 {digest.hexdigest()}; the manifest says {promise.sha256}",
            )

    def check_sizes(self, manifest: Manifest) -> None:
        """Hold every file that the manifest lists against the folder's listing, those never opened included."""
        sizes = self._sizes()
        for name, promise in sorted(manifest.files.items()):
            if name not in sizes:
                raise RefusedError("file_missing", f"{self.uri}{name} is gone, but the manifest lists it")
            if sizes[name] != promise.size:
                raise RefusedError("file_cut_short", self._wrong_size(name, sizes[name], promise.size))

    def _body(self, name: str) -> Any:
        """What a file can be read from, None where there is no file.

        A store that is down or slows us down is nobody's failed training, so its error goes up to the task, which
        tries again; a refused key is this model's own trouble.
        """
        try:
            return self._s3.get_object(Bucket=self._bucket, Key=self._prefix + name)["Body"]
        except ClientError as error:
            if _is_absent(error):
                return None
            self._refuse_if_denied(error, name)
            raise

    def _sizes(self) -> dict[str, int]:
        pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=self._prefix)
        try:
            found = [item for page in pages for item in page.get("Contents", ())]
        except ClientError as error:
            self._refuse_if_denied(error, "")
            raise
        return {item["Key"].removeprefix(self._prefix): item["Size"] for item in found}

    def _refuse_if_denied(self, error: ClientError, name: str) -> None:
        if _code(error) == "AccessDenied":
            needed = "s3:GetObject and s3:ListBucket"
            raise RefusedError(
                "access_denied", f"S3 denies {self.uri}{name}; who publishes needs {needed} there"
            ) from error

    def _wrong_size(self, name: str, found: int, promised: int) -> str:
        return f"{self.uri}{name} has {found} bytes; the manifest says {promised}"


def _is_absent(error: ClientError) -> bool:
    # a HEAD has no body that could name the code
    return _code(error) in {"NoSuchKey", "404"}


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code"))
