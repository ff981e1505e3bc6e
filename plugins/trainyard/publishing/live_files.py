"""Where the files of what serves now lie: the artifact in the database, the rest in the training folder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine, text

from trainyard.training import split_uri

_LIVE_FILES = text(
    """
    SELECT live_model.portfolio, version_id, artifact, artifact_uri, attempt.output_uri,
           attempt.aws_conn_id
    FROM serving.live_model
    LEFT JOIN operations.attempt USING (training_id, attempt)
    WHERE live_model.model = :model AND (CAST(:portfolio AS text) IS NULL OR live_model.portfolio = :portfolio)
    ORDER BY live_model.portfolio
    """
)


@dataclass(frozen=True)
class LiveFiles:
    """
    :param artifact: gzipped; None where it is too large for the database and lies at ``artifact_uri``
    :param output_uri: the training folder; None where the ledger does not know the attempt
    :param aws_conn_id: Airflow connection that the folder is read by
    """

    portfolio: str
    version_id: int
    artifact: bytes | None
    artifact_uri: str | None
    output_uri: str | None
    aws_conn_id: str | None


def live_files(app: Engine, *, model: str, portfolio: str | None) -> list[LiveFiles]:
    """The files of the live version of a model, one entry for each portfolio that has a model of the name."""
    with app.connect() as connection:
        found = connection.execute(_LIVE_FILES, {"model": model, "portfolio": portfolio})
        return [LiveFiles(**row) for row in found.mappings()]


def read_object(s3: Any, uri: str) -> bytes:
    """The bytes of one object; botocore's ClientError where it cannot be read."""
    bucket, key = split_uri(uri)
    return bytes(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
