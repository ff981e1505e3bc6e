"""Where the files of the job's tests lie for the job: on this disk, or in S3 behind Hadoop's real S3A.

A test writes and reads folders of its own either way. In S3 the job gets a copy: what it shall read is put there
before it starts, and what it wrote is fetched when it has ended.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Protocol


class Place(Protocol):
    def uri(self, path: Path) -> str:
        """How the job knows this file or folder: nothing in it is escaped."""

    def publish(self, paths: Iterable[Path]) -> None:
        """Let the job see these files as they are now."""

    def fetch(self, folder: Path) -> None:
        """Let the test see what the job left in the folder."""


class ThisDisk:
    def uri(self, path: Path) -> str:
        return f"file://{path}"

    def publish(self, paths: Iterable[Path]) -> None:
        pass

    def fetch(self, folder: Path) -> None:
        pass


class S3:
    def __init__(self, client: Any, bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    def uri(self, path: Path) -> str:
        return f"s3://{self._bucket}{path}"

    def publish(self, paths: Iterable[Path]) -> None:
        for path in paths:
            if path.exists():
                # in one piece, since the ETag of several is not the MD5 of the whole
                self._client.put_object(Bucket=self._bucket, Key=self._key(path), Body=path.read_bytes())

    def fetch(self, folder: Path) -> None:
        # what the job removed is gone for the test as well
        shutil.rmtree(folder, ignore_errors=True)
        pages = self._client.get_paginator("list_objects_v2").paginate(
            Bucket=self._bucket, Prefix=f"{self._key(folder)}/"
        )
        for page in pages:
            for found in page.get("Contents", ()):
                path = Path("/", found["Key"])
                path.parent.mkdir(parents=True, exist_ok=True)
                self._client.download_file(self._bucket, found["Key"], str(path))

    def _key(self, path: Path) -> str:
        return str(path).removeprefix("/")
