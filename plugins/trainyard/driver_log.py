"""A cluster's logs in S3 → the end of its driver's log. A boto3 S3 client is handed in; no Airflow.

In cluster mode the driver runs in the first container of the YARN application; what ``steps/`` holds is then the word
of spark-submit alone. EMR brings logs to S3 every few minutes, and after the cluster's end.
Source: https://docs.aws.amazon.com/emr/latest/ManagementGuide/emr-manage-view-web-log-files.html
"""

from __future__ import annotations

import gzip
import re
import zlib
from dataclasses import dataclass
from typing import Any

from trainyard.training import S3Uri, split_uri

_DRIVER = re.compile(r"/containers/[^/]+/container_\w+_000001/(stderr|stdout)(\.gz)?$")
_STEP = re.compile(r"/steps/[^/]+/(stderr|stdout)(\.gz)?$")
_TAIL_LINES = 40
_LONGEST_LINE = 300
# of a compressed log the whole must be read; one that is larger than this tells its place only
_MOST_BYTES = 20_000_000


@dataclass(frozen=True)
class DriverLog:
    """The end of a log.

    :param lines: the last ones, each cut at 300 characters; none where the log is too large to read
    """

    uri: S3Uri
    lines: tuple[str, ...]

    @property
    def text(self) -> str:
        return "\n".join(self.lines)


def cluster_logs(log_uri: str, cluster_id: str) -> S3Uri:
    """The folder of a cluster's logs; ends with a slash."""
    return S3Uri(f"{log_uri.rstrip('/')}/{cluster_id}/")


def find_driver_log(s3: Any, *, log_uri: str, cluster_id: str) -> DriverLog | None:
    """The end of the driver's log; none where no log has come yet.

    Of several that hold anything, standard error comes first: that is where Spark and Python say why they end.
    """
    bucket, prefix = split_uri(cluster_logs(log_uri, cluster_id))
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    entries = [entry for page in pages for entry in page.get("Contents", ())]
    for pattern in (_DRIVER, _STEP):
        found = sorted(entry["Key"] for entry in entries if pattern.search(entry["Key"]))
        # the newest application's, standard error before standard output
        for key in sorted(found, key=lambda key: ("stderr" in key, key), reverse=True):
            log = _read(s3, bucket, key)
            if log.lines:
                return log
    return None


def _read(s3: Any, bucket: str, key: str) -> DriverLog:
    uri = S3Uri(f"s3://{bucket}/{key}")
    answer = s3.get_object(Bucket=bucket, Key=key)
    if answer["ContentLength"] > _MOST_BYTES:
        return DriverLog(uri, ("(too large to be read here)",))
    data = answer["Body"].read()
    try:
        content = gzip.decompress(data) if key.endswith(".gz") else data
    except (OSError, EOFError, zlib.error):
        return DriverLog(uri, ("(cannot be decompressed)",))
    lines = [line for line in content.decode(errors="replace").splitlines() if line.strip()]
    return DriverLog(uri, tuple(line[:_LONGEST_LINE] for line in lines[-_TAIL_LINES:]))
