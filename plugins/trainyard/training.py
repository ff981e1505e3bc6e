"""Who a training is, and where in S3 everything of it lies.

In: what names a training (deployment, portfolio, model, data date, DAG run). Out: its id, the same for every retry and
clear of the task, and every S3 location built from it. No other module puts an S3 key together.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import date
from typing import NewType

S3Uri = NewType("S3Uri", str)
TrainingId = NewType("TrainingId", str)
Sha256 = NewType("Sha256", str)


@dataclass(frozen=True)
class Training:
    """One model, one data date, one DAG run.

    :param deployment: the Airflow installation's id, from the Airflow Variable ``trainyard_account``
    :param output_root: S3 folder below which the portfolio writes, such as ``s3://bucket/models``
    """

    deployment: str
    portfolio: str
    model: str
    data_date: date
    dag_id: str
    run_id: str
    output_root: str

    @property
    def training_id(self) -> TrainingId:
        """16 hexadecimal characters that a retried or cleared task comes back to."""
        identity = "\0".join((self.deployment, self.dag_id, self.run_id, self.model))
        return TrainingId(hashlib.sha256(identity.encode()).hexdigest()[:16])

    def attempt_folder(self, attempt: int) -> S3Uri:
        """Where the attempt's request lies and its job writes; ends with a slash."""
        return S3Uri(
            f"{self.output_root.rstrip('/')}/trainings/{self.portfolio}/{self.model}/{self.data_date.isoformat()}"
            f"/{self.training_id}/attempt-{attempt}/"
        )

    def request_uri(self, attempt: int) -> S3Uri:
        """Where the attempt's ``request.json`` lies."""
        return S3Uri(f"{self.attempt_folder(attempt)}request.json")


def code_folder(output_root: str, code_sha256: Sha256) -> S3Uri:
    """Where the job's code is staged, once for each content; ends with a slash."""
    return S3Uri(f"{output_root.rstrip('/')}/code/{code_sha256}/")


def split_uri(uri: str) -> tuple[str, str]:
    """Bucket and key of ``s3://bucket/key``; raises ValueError for anything else."""
    scheme, separator, rest = uri.partition("://")
    bucket, _, key = rest.partition("/")
    if scheme != "s3" or not separator or not bucket:
        raise ValueError(f"{uri!r} is no S3 location; expected s3://bucket/key")
    return bucket, key
