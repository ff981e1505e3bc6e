"""A cluster's logs in S3 → the ends of its driver's and its step's. A boto3 S3 client is handed in; no Airflow.

In cluster mode the driver runs in the first container of the YARN application, and `steps/` holds the word of
spark-submit alone. Which of the two says why a training failed depends on the failure: a driver that YARN kills, for
its memory or with its node, dies without a word, and the cause stands in what spark-submit repeats of YARN's
diagnostics. EMR brings logs to S3 every few minutes, and after the cluster's end.
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
# spark-submit names the application that it follows: then there is, or will be, a driver's log beside its own
_ON_YARN = re.compile(r"\bapplication_\d+_\d+\b")
# https://github.com/apache/spark/blob/v3.5.6/resource-managers/yarn/src/main/scala/org/apache/spark/deploy/yarn/Client.scala
_DIAGNOSTICS = re.compile(r"(^\s*diagnostics|Application diagnostics message): ")
_DIAGNOSTICS_LINES = 12
_TAIL_LINES = 40
_LONGEST_LINE = 300
# of a compressed log the whole must be read; one that is larger than this tells its place only
_MOST_BYTES = 20_000_000


@dataclass(frozen=True)
class LogEnd:
    """The end of a log.

    :param lines: the last ones, each cut at 300 characters; a sentence instead where the log cannot be read
    """

    uri: S3Uri
    lines: tuple[str, ...]

    @property
    def diagnostics(self) -> tuple[str, ...]:
        """What YARN says of the application, as spark-submit repeats it last; empty where it does not."""
        begins = [place for place, line in enumerate(self.lines) if _DIAGNOSTICS.search(line)]
        return self.lines[begins[-1] : begins[-1] + _DIAGNOSTICS_LINES] if begins else ()


@dataclass(frozen=True)
class Logs:
    """The ends of a cluster's logs, as far as they have come."""

    driver: LogEnd | None = None
    step: LogEnd | None = None

    @property
    def whole(self) -> bool:
        """Whether no other log is to come that might say more."""
        if self.step is None:
            return False
        return self.driver is not None or not any(_ON_YARN.search(line) for line in self.step.lines)

    @property
    def text(self) -> str:
        """All that they say of a failure."""
        return "\n".join(line for end in (self.driver, self.step) if end is not None for line in end.lines)


def cluster_logs(log_uri: str, cluster_id: str) -> S3Uri:
    """The folder of a cluster's logs; ends with a slash."""
    return S3Uri(f"{log_uri.rstrip('/')}/{cluster_id}/")


def find_logs(s3: Any, *, log_uri: str, cluster_id: str) -> Logs:
    """The ends of the driver's and the step's log, as far as they have come.

    Of several that hold anything, standard error comes first: that is where Spark and Python say why they end.
    """
    bucket, prefix = split_uri(cluster_logs(log_uri, cluster_id))
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    keys = [entry["Key"] for page in pages for entry in page.get("Contents", ())]
    driver, step = (
        _newest(s3, bucket, [key for key in keys if kind.search(key)]) for kind in (_DRIVER, _STEP)
    )
    return Logs(driver, step)


def _newest(s3: Any, bucket: str, keys: list[str]) -> LogEnd | None:
    """The end of the newest application's log that says anything, standard error before standard output."""
    for key in sorted(keys, key=lambda key: ("stderr" in key, key), reverse=True):
        end = _read(s3, bucket, key)
        if end.lines:
            return end
    return None


def _read(s3: Any, bucket: str, key: str) -> LogEnd:
    uri = S3Uri(f"s3://{bucket}/{key}")
    answer = s3.get_object(Bucket=bucket, Key=key)
    if answer["ContentLength"] > _MOST_BYTES:
        return LogEnd(uri, ("(too large to be read here)",))
    data = answer["Body"].read()
    try:
        content = gzip.decompress(data) if key.endswith(".gz") else data
    except (OSError, EOFError, zlib.error):
        return LogEnd(uri, ("(cannot be decompressed)",))
    lines = [line for line in content.decode(errors="replace").splitlines() if line.strip()]
    return LogEnd(uri, tuple(line[:_LONGEST_LINE] for line in lines[-_TAIL_LINES:]))
