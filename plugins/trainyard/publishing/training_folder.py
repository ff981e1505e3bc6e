"""An attempt's folder in S3 → what publishing takes from it, or a code and a sentence why it takes nothing.

The manifest says whether there is anything to take: a folder without one, or with one that does not hold, counts as
if nothing had happened. Nothing is guessed from what lies around.
"""

from __future__ import annotations

import gzip
import hashlib
import zlib
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from trainyard.ledger import Attempt
from trainyard.publishing.formats import (
    Artifact,
    Curves,
    Format,
    FormatError,
    Identity,
    JobFailure,
    Manifest,
    Metrics,
    Request,
    parse,
)
from trainyard.training import S3Uri, Sha256, split_uri

MAX_SENTENCE_CHARACTERS = 1000


class RefusedError(Exception):
    """A folder that cannot be published.

    :param code: one of the codes below, for grouping
    :param sentence: for a person
    """

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code
        self.sentence = sentence


@dataclass(frozen=True)
class TrainedModel:
    """What a folder with a valid manifest holds.

    :param artifact_content: the artifact as JSON, not compressed
    """

    request: Request
    artifact: Artifact
    artifact_content: bytes
    artifact_uri: S3Uri
    metrics: Metrics
    curves: Curves

    @property
    def artifact_sha256(self) -> Sha256:
        """Of the artifact as JSON."""
        return Sha256(hashlib.sha256(self.artifact_content).hexdigest())


@dataclass(frozen=True)
class ToldFailure:
    """What a job said of its own failure; never the offending lines.

    :param place: ``file:line`` where the cause lies, if the job could say so
    """

    code: str
    sentence: str
    place: str | None


def read_trained_model(s3: Any, attempt: Attempt) -> TrainedModel:
    """Read and check an attempt's folder.

    :raises RefusedError: ``no_manifest``; ``format_too_new``; ``manifest_unreadable``; ``wrong_training``;
        ``request_changed``; ``file_missing``, ``file_cut_short``, ``checksum_mismatch``; ``file_invalid``;
        ``artifact_mismatch``: the artifact is not what the request asked for; ``access_denied``
    """
    folder = _Folder(s3, attempt.output_uri)
    content = folder.get("manifest.json")
    if content is None:
        raise RefusedError(
            "no_manifest", f"{folder.uri} holds no manifest.json: its job did not get to its end"
        )
    manifest = _parsed(Manifest, content, folder=folder, name="manifest.json", code="manifest_unreadable")
    _check_identity(manifest.training, attempt, where=f"{folder.uri}manifest.json")
    folder.check_sizes(manifest)
    artifact_name = "artifact.json" if "artifact.json" in manifest.files else "artifact.json.gz"
    stored = folder.promised(manifest, artifact_name)
    artifact_content = _decompressed(stored, folder=folder) if artifact_name.endswith(".gz") else stored
    trained = TrainedModel(
        request=_request(folder, manifest, attempt),
        artifact=_parsed(Artifact, artifact_content, folder=folder, name=artifact_name),
        artifact_content=artifact_content,
        artifact_uri=S3Uri(f"{folder.uri}{artifact_name}"),
        metrics=_parsed(
            Metrics, folder.promised(manifest, "metrics.json"), folder=folder, name="metrics.json"
        ),
        curves=_parsed(Curves, folder.promised(manifest, "curves.json"), folder=folder, name="curves.json"),
    )
    _check_artifact(trained, attempt)
    return trained


def read_failure(s3: Any, output_uri: str) -> ToldFailure | None:
    """What the job said in an attempt's ``failure.json``; None where it said nothing that can be read."""
    try:
        content = _Folder(s3, output_uri).get("failure.json")
        if content is None:
            return None
        failure = parse(JobFailure, content, name="failure.json")
    except (FormatError, RefusedError):
        return None
    place = failure.place or {}
    file, line = place.get("file"), place.get("line")
    return ToldFailure(
        code=failure.code,
        sentence=failure.sentence[:MAX_SENTENCE_CHARACTERS],
        place=None if file is None else f"{file}:{line}" if line is not None else str(file),
    )


class _Folder:
    def __init__(self, s3: Any, uri: str) -> None:
        self._s3 = s3
        self.uri = uri
        self._bucket, self._prefix = split_uri(uri)

    def get(self, name: str) -> bytes | None:
        """The bytes of a file, None where there is none.

        A store that is down or slows us down is nobody's failed training, so its error goes up to the task, which
        tries again; a refused key is this model's own trouble.
        """
        try:
            answer = self._s3.get_object(Bucket=self._bucket, Key=self._prefix + name)
            return bytes(answer["Body"].read())
        except ClientError as error:
            if _code(error) in {"NoSuchKey", "404"}:
                return None
            self._refuse_if_denied(error, name)
            raise

    def promised(self, manifest: Manifest, name: str) -> bytes:
        """The bytes of a file that the manifest lists, found to be what it says."""
        promise = manifest.files.get(name)
        if promise is None:
            raise RefusedError("file_missing", f"{self.uri}manifest.json does not list {name}")
        content = self.get(name)
        if content is None:
            raise RefusedError("file_missing", f"{self.uri}{name} is gone, but the manifest lists it")
        if len(content) != promise.size:
            raise RefusedError("file_cut_short", self._wrong_size(name, len(content), promise.size))
        found = hashlib.sha256(content).hexdigest()
        if found != promise.sha256:
            raise RefusedError(
                "checksum_mismatch",
                f"{self.uri}{name} has sha256 {found}; the manifest says {promise.sha256}",
            )
        return content

    def check_sizes(self, manifest: Manifest) -> None:
        """Hold every file that the manifest lists against the folder's listing, those never opened included."""
        sizes = self._sizes()
        for name, promise in sorted(manifest.files.items()):
            if name not in sizes:
                raise RefusedError("file_missing", f"{self.uri}{name} is gone, but the manifest lists it")
            if sizes[name] != promise.size:
                raise RefusedError("file_cut_short", self._wrong_size(name, sizes[name], promise.size))

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


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code"))


def _parsed(
    format_: type[Format], content: bytes, *, folder: _Folder, name: str, code: str = "file_invalid"
) -> Format:
    try:
        return parse(format_, content, name=f"{folder.uri}{name}")
    except FormatError as error:
        raise RefusedError("format_too_new" if error.too_new else code, str(error)) from error


def _check_identity(found: Identity, attempt: Attempt, *, where: str) -> None:
    for field in Identity.model_fields:
        theirs, ours = getattr(found, field), getattr(attempt, field)
        if theirs != ours:
            raise RefusedError(
                "wrong_training", f"{where} is of another training: its {field} is {theirs}, expected {ours}"
            )


def _request(folder: _Folder, manifest: Manifest, attempt: Attempt) -> Request:
    content = folder.get("request.json")
    if content is None:
        raise RefusedError("file_missing", f"{folder.uri}request.json is gone")
    found = hashlib.sha256(content).hexdigest()
    for holder, expected in (("manifest", manifest.request_sha256), ("ledger", attempt.request_sha256)):
        if expected is not None and found != expected:
            raise RefusedError(
                "request_changed",
                f"{folder.uri}request.json has sha256 {found}; the {holder} says {expected}",
            )
    return _parsed(Request, content, folder=folder, name="request.json")


def _decompressed(content: bytes, *, folder: _Folder) -> bytes:
    try:
        return gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise RefusedError(
            "file_invalid", f"{folder.uri}artifact.json.gz is no gzip file ({error})"
        ) from error


def _check_artifact(trained: TrainedModel, attempt: Attempt) -> None:
    """Hold the artifact against what was asked for and what the metrics were measured with."""
    artifact, lineage = trained.artifact, trained.artifact.lineage
    comparisons = (
        ("num_features", artifact.num_features, "request.json", trained.request.num_features),
        ("feature_space", artifact.feature_space, "request.json", trained.request.feature_space),
        ("threshold", artifact.threshold, "metrics.json", trained.metrics.threshold),
        ("lineage.training_id", lineage.get("training_id"), "the ledger", attempt.training_id),
        ("lineage.attempt", lineage.get("attempt"), "the ledger", attempt.attempt),
    )
    for field, found, source, expected in comparisons:
        if found != expected:
            raise RefusedError(
                "artifact_mismatch",
                f"{trained.artifact_uri}: {field} is {found!r}, {source} has {expected!r}",
            )
