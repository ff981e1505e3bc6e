"""An S3 that is a folder on this disk: what publishing costs is measured without a network."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError


class Body(io.BytesIO):
    """A file's content, handed out as botocore does."""

    def iter_chunks(self, chunk_size: int) -> Iterator[bytes]:
        while chunk := self.read(chunk_size):
            yield chunk


@dataclass(frozen=True)
class FolderS3:
    """The calls of an S3 client that publishing makes."""

    root: Path

    def get_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:  # noqa: N803 (boto3's names)
        try:
            return {"Body": Body((self.root / Bucket / Key).read_bytes())}
        except FileNotFoundError:
            raise ClientError({"Error": {"Code": "NoSuchKey"}}, "GetObject") from None

    def get_paginator(self, _: str) -> FolderS3:
        return self

    def paginate(self, *, Bucket: str, Prefix: str) -> Iterator[dict[str, Any]]:  # noqa: N803
        bucket = self.root / Bucket
        files = sorted(path for path in (bucket / Prefix).rglob("*") if path.is_file())
        yield {
            "Contents": [
                {"Key": str(path.relative_to(bucket)), "Size": path.stat().st_size} for path in files
            ]
        }
