"""The two ways in which a step's Spark gets at S3: copies that are carried to and fro, or the real S3A."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from local_aws.s3 import DUMMY_KEY
from local_aws.steps import hadoop
from local_aws.steps.desk import Desks
from local_aws.steps.hadoop import HadoopFiles
from local_aws.steps.logs import StepLogs
from local_aws.steps.sparks import Spark


@dataclass(frozen=True)
class StepInfo:
    """
    :param unfinished: files that the step had open when it was stopped; asked once it has ended
    """

    spark: Spark
    logs: StepLogs
    unfinished: Callable[[], frozenset[Path]]


class SparkFiles(Protocol):
    def while_it_runs(self, step: StepInfo) -> AbstractContextManager[HadoopFiles]:
        """Files for one step, from before it starts until after it has ended."""


class Copies:
    """`s3://` is folders: filled before the step, carried back to S3 after it. Needs no jar."""

    def __init__(self, desks: Desks) -> None:
        self._desks = desks

    @contextmanager
    def while_it_runs(self, step: StepInfo) -> Iterator[HadoopFiles]:
        with self._desks.one() as desk:
            filled = desk.fill()
            step.logs.say(f"local_aws: fetched {filled.fetched} objects, {filled.fetched_bytes} bytes")
            for name in filled.left_out:
                step.logs.say(f"local_aws: no file can stand for s3://{name.bucket}/{name.key}", level="WARN")
            yield hadoop.folders(filled.buckets)
            carried = desk.carry_back(step.unfinished())
            step.logs.say(
                f"local_aws: wrote {carried.written} objects, {carried.written_bytes} bytes; "
                f"deleted {carried.deleted}"
            )


class RealS3a:
    """`s3://` is Hadoop's S3A, as on EMR from 7.10 on.

    :param jars: by Spark's version, what S3A needs
    """

    def __init__(self, endpoint_url: str, jars: Mapping[str, tuple[Path, ...]]) -> None:
        self._endpoint_url = endpoint_url
        self._jars = jars

    @contextmanager
    def while_it_runs(self, step: StepInfo) -> Iterator[HadoopFiles]:
        step.logs.say(f"local_aws: s3:// is Hadoop's S3A at {self._endpoint_url}")
        yield hadoop.s3a(
            self._endpoint_url,
            access_key=DUMMY_KEY,
            secret_key=DUMMY_KEY,
            jars=self._jars[step.spark.version],
        )


def find_s3a_jars(folder: Path) -> dict[str, tuple[Path, ...]]:
    """By Spark's version, the jars in `<folder>/<version>/`."""
    return {
        place.name: tuple(sorted(place.glob("*.jar")))
        for place in sorted(folder.iterdir() if folder.is_dir() else ())
        if any(place.glob("hadoop-aws-*.jar"))
    }
