"""An attempt's folder in S3 → what publishing takes from it, or a code and a sentence why it takes nothing.

The manifest says whether there is anything to take: a folder without one, or with one that does not hold, counts as
if nothing had happened. Nothing is guessed from what lies around.
"""

from __future__ import annotations

import gzip
import hashlib
import zlib
from contextlib import nullcontext
from dataclasses import dataclass
from threading import Lock
from typing import Any

from trainyard.ledger import Attempt
from trainyard.publishing.artifact import Artifact, check_artifact
from trainyard.publishing.formats import (
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
from trainyard.publishing.s3_folder import CHUNK_BYTES, RefusedError, S3Folder
from trainyard.publishing.spool import Kept, Spool
from trainyard.training import S3Uri, Sha256

MAX_SENTENCE_CHARACTERS = 1000
LARGEST_STORED_ARTIFACT_BYTES = 64 << 20
LARGEST_ARTIFACT_BYTES = 1 << 30
# from here on one artifact at a time is looked at: several side by side would need the memory of several
_LARGE_BYTES = 8 << 20
_one_large_artifact = Lock()


@dataclass(frozen=True)
class TrainedModel:
    """What a folder with a valid manifest holds; what is large of it lies in the spool.

    :param artifact_sha256: of the artifact as JSON, not compressed
    :param kept_artifact: the artifact gzipped; none where it is too large for a database
    """

    request: Request
    artifact: Artifact
    artifact_sha256: Sha256
    artifact_uri: S3Uri
    kept_artifact: Kept | None
    kept_metrics: Kept
    kept_curves: Kept

    def metrics(self, spool: Spool) -> Metrics:
        """What ``metrics.json`` says."""
        # checked when it was read
        return Metrics.model_validate_json(spool.read(self.kept_metrics))

    def curves(self, spool: Spool) -> Curves:
        """What ``curves.json`` says."""
        return Curves.model_validate_json(spool.read(self.kept_curves))


@dataclass(frozen=True)
class ToldFailure:
    """What a job said of its own failure; never the offending lines.

    :param place: ``file:line`` where the cause lies, if the job could say so
    """

    code: str
    sentence: str
    place: str | None


def read_trained_model(s3: Any, attempt: Attempt, spool: Spool) -> TrainedModel:
    """Read and check an attempt's folder.

    :raises RefusedError: ``no_manifest``; ``format_too_new``; ``manifest_unreadable``; ``wrong_training``;
        ``request_changed``; ``file_missing``, ``file_cut_short``, ``checksum_mismatch``; ``file_invalid``;
        ``artifact_mismatch``: the artifact is not what the request asked for; ``access_denied``
    """
    folder = S3Folder(s3, attempt.output_uri, spool)
    content = folder.get("manifest.json")
    if content is None:
        raise RefusedError(
            "no_manifest", f"{folder.uri} holds no manifest.json: its job did not get to its end"
        )
    manifest = _parsed(Manifest, content, folder=folder, name="manifest.json", code="manifest_unreadable")
    _check_identity(manifest.training, attempt, where=f"{folder.uri}manifest.json")
    folder.check_sizes(manifest)
    kept_metrics = folder.promised(manifest, "metrics.json")
    kept_curves = folder.promised(manifest, "curves.json")
    metrics = _parsed(Metrics, spool.read(kept_metrics), folder=folder, name="metrics.json")
    _parsed(Curves, spool.read(kept_curves), folder=folder, name="curves.json")
    artifact_name = "artifact.json" if "artifact.json" in manifest.files else "artifact.json.gz"
    artifact, artifact_sha256, kept_artifact = _artifact(folder, manifest, artifact_name)
    trained = TrainedModel(
        request=_request(folder, manifest, attempt),
        artifact=artifact,
        artifact_sha256=artifact_sha256,
        artifact_uri=S3Uri(f"{folder.uri}{artifact_name}"),
        kept_artifact=kept_artifact,
        kept_metrics=kept_metrics,
        kept_curves=kept_curves,
    )
    _check_artifact(trained, metrics, attempt)
    return trained


def has_manifest(s3: Any, output_uri: str) -> bool:
    """Whether the job has written an attempt's ``manifest.json``, its last file; whether it holds is to be seen."""
    return S3Folder(s3, output_uri, None).has("manifest.json")


def read_failure(s3: Any, output_uri: str) -> ToldFailure | None:
    """What the job said in an attempt's ``failure.json``; None where it said nothing that can be read."""
    try:
        content = S3Folder(s3, output_uri, None).get("failure.json")
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


def _parsed(
    format_: type[Format], content: bytes, *, folder: S3Folder, name: str, code: str = "file_invalid"
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


def _request(folder: S3Folder, manifest: Manifest, attempt: Attempt) -> Request:
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


def _artifact(folder: S3Folder, manifest: Manifest, name: str) -> tuple[Artifact, Sha256, Kept | None]:
    """The artifact checked, its sha256 as JSON, and where it is kept gzipped, unless it is too large for that."""
    # plain, it need not be kept: a disk that took it plain and gzipped would have three times as much to write
    kept = folder.promised(manifest, name) if name.endswith(".gz") else None
    large = folder.promise(manifest, name).size > _LARGE_BYTES
    with _one_large_artifact if large else nullcontext():
        content = _decompressed(folder, name, kept) if kept else folder.promised_content(manifest, name)
        try:
            artifact = check_artifact(content, name=f"{folder.uri}{name}")
        except FormatError as error:
            raise RefusedError("format_too_new" if error.too_new else "file_invalid", str(error)) from error
        if kept is None:
            # no time stamp: the same artifact gives the same bytes; numbers gain little from a higher level
            kept = folder.spool.keep(gzip.compress(content, compresslevel=1, mtime=0))
        stored = kept if kept.size <= LARGEST_STORED_ARTIFACT_BYTES else None
        return artifact, Sha256(hashlib.sha256(content).hexdigest()), stored


def _decompressed(folder: S3Folder, name: str, kept: Kept) -> bytearray:
    """The content of a gzip file, at no time twice in memory."""
    content, decompressor = bytearray(), zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    try:
        for chunk in folder.spool.chunks(kept):
            while chunk and not decompressor.eof:
                content += decompressor.decompress(chunk, CHUNK_BYTES)
                chunk = decompressor.unconsumed_tail  # noqa: PLW2901 (what is left of it)
                if len(content) > LARGEST_ARTIFACT_BYTES:
                    raise RefusedError(
                        "file_invalid",
                        f"{folder.uri}{name} holds more than {LARGEST_ARTIFACT_BYTES:,} bytes once decompressed",
                    )
        content += decompressor.flush()
    except zlib.error as error:
        raise RefusedError("file_invalid", f"{folder.uri}{name} is no gzip file ({error})") from error
    if not decompressor.eof:
        raise RefusedError("file_invalid", f"{folder.uri}{name} is no gzip file (it ends too early)")
    return content


def _check_artifact(trained: TrainedModel, metrics: Metrics, attempt: Attempt) -> None:
    """Hold the artifact against what was asked for and what the metrics were measured with."""
    artifact, lineage = trained.artifact, trained.artifact.lineage
    comparisons = (
        ("num_features", artifact.num_features, "request.json", trained.request.num_features),
        ("feature_space", artifact.feature_space, "request.json", trained.request.feature_space),
        ("threshold", artifact.threshold, "metrics.json", metrics.threshold),
        ("lineage.training_id", lineage.get("training_id"), "the ledger", attempt.training_id),
        ("lineage.attempt", lineage.get("attempt"), "the ledger", attempt.attempt),
    )
    for field, found, source, expected in comparisons:
        if found != expected:
            raise RefusedError(
                "artifact_mismatch",
                f"{trained.artifact_uri}: {field} is {found!r}, {source} has {expected!r}",
            )
