"""What Hadoop makes of `s3://` in a step: folders of this disk, or this process's S3 by the real S3A.

On EMR `s3://` is S3A from release 7.10 on. S3A is not in PySpark; it takes jars of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

_VIEW_OF_FOLDERS = "org.apache.hadoop.fs.viewfs.ViewFileSystemOverloadScheme"
_S3A = "org.apache.hadoop.fs.s3a.S3AFileSystem"


@dataclass(frozen=True)
class HadoopFiles:
    """
    :param properties: for core-site.xml
    :param jars: what Spark's class path needs besides its own
    """

    properties: Mapping[str, str]
    jars: tuple[Path, ...] = ()


def folders(buckets: Mapping[str, Path]) -> HadoopFiles:
    """`s3://<bucket>/` is a folder of this disk.

    `raw` has no .crc files beside the data; `linkFallback` shows the folder's content as the bucket's root.
    """
    mounts = {
        f"fs.viewfs.mounttable.{bucket}.linkFallback": f"raw://{folder.as_posix()}"
        for bucket, folder in sorted(buckets.items())
    }
    return HadoopFiles(
        {
            "fs.s3.impl": _VIEW_OF_FOLDERS,
            "fs.s3a.impl": _VIEW_OF_FOLDERS,
            "fs.raw.impl": "org.apache.hadoop.fs.RawLocalFileSystem",
        }
        | mounts
    )


def s3a(endpoint_url: str, *, access_key: str, secret_key: str, jars: tuple[Path, ...]) -> HadoopFiles:
    """`s3://<bucket>/` is the bucket at the endpoint, by Hadoop's S3A with keys that are named here only."""
    return HadoopFiles(
        {
            "fs.s3.impl": _S3A,
            "fs.s3a.impl": _S3A,
            "fs.s3a.endpoint": endpoint_url,
            "fs.s3a.endpoint.region": "us-east-1",
            "fs.s3a.path.style.access": "true",
            "fs.s3a.connection.ssl.enabled": "false",
            "fs.s3a.aws.credentials.provider": "org.apache.hadoop.fs.s3a.SimpleAWSCredentialsProvider",
            "fs.s3a.access.key": access_key,
            "fs.s3a.secret.key": secret_key,
        },
        jars,
    )


def core_site(properties: Mapping[str, str]) -> str:
    """The text of a core-site.xml."""
    lines = [
        f"  <property><name>{escape(name)}</name><value>{escape(value)}</value></property>"
        for name, value in properties.items()
    ]
    return "\n".join(['<?xml version="1.0"?>', "<configuration>", *lines, "</configuration>", ""])
