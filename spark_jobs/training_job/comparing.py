"""Earlier versions beside the new model: loaded by MLlib from their folders, to be scored on the very same rows."""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from py4j.protocol import Py4JJavaError

from training_job.deciding import Decision
from training_job.learners import load_model
from training_job.probabilities import probabilities_of
from training_job.session import recognise
from training_job.storage import java_class
from training_job.warning_codes import warning

if TYPE_CHECKING:
    from training_job.earlier_versions import EarlierVersion
    from training_job.session import Job
    from training_job.storage import Storage


@dataclass(frozen=True)
class EarlierModel:
    """
    :param roles: what it is to the new model: champion, best_recent, or both
    :param decision: its own, from its ``artifact.json``
    """

    version: EarlierVersion
    roles: tuple[str, ...]
    spark_model: Any
    decision: Decision


class _NotComparableError(Exception):
    """Scores of other features say nothing about these rows."""


def load_earlier_models(job: Job) -> tuple[list[EarlierModel], list[dict[str, Any]]]:
    """The models of the request's earlier versions, and a warning for each that there is nothing to compare with.

    A version that cannot be loaded does not fail the training: the gate decides what follows from it.
    """
    roles_of: dict[EarlierVersion, list[str]] = {}
    for role, version in job.request.earlier_versions.items():
        roles_of.setdefault(version, []).append(role)
    models, warnings = [], []
    for version, roles in roles_of.items():
        try:
            models.append(_load(job, version, tuple(roles)))
        except _NotComparableError as error:
            warnings.append(warning("champion_not_comparable", f"{_name(version, roles)} {error}"))
        # a folder can be broken in more ways than there are exceptions to name
        except Exception as error:
            if recognise(error) is not None:
                raise
            sentence = f"{_name(version, roles)} cannot be loaded: {_reason(error)}"
            warnings.append(warning("champion_unreadable", sentence))
    return models, warnings


def read_artifact(storage: Storage, folder: str) -> dict[str, Any]:
    """The folder's ``artifact.json``, gzipped or not; raises Py4JJavaError where there is none."""
    is_plain = "artifact.json" in storage.files_in(folder)
    content = (
        storage.read_bytes(folder + "artifact.json")
        if is_plain
        else gzip.decompress(storage.read_bytes(folder + "artifact.json.gz"))
    )
    document: dict[str, Any] = json.loads(content)
    return document


def _load(job: Job, version: EarlierVersion, roles: tuple[str, ...]) -> EarlierModel:
    artifact = read_artifact(job.storage, version.folder)
    for field, ours in (
        ("feature_space", job.request.feature_space),
        ("num_features", job.request.num_features),
    ):
        if artifact[field] != ours:
            raise _NotComparableError(f"has {field} {artifact[field]!r}; this training has {ours!r}")
    spark_model = load_model(artifact["kind"], version.folder + "model")
    if spark_model.numFeatures != job.request.num_features:
        raise _NotComparableError(
            f"has a model of {spark_model.numFeatures} features; this training has {job.request.num_features}"
        )
    decision = Decision(probabilities_of(artifact), threshold=float(artifact["threshold"]))
    return EarlierModel(version, roles, spark_model, decision)


def _name(version: EarlierVersion, roles: list[str]) -> str:
    return f"version {version.version_id} ({' and '.join(roles)}) in {version.folder}"


def _reason(error: Exception) -> str:
    """One line that names no more than a person needs."""
    if isinstance(error, Py4JJavaError):
        message = str(error.java_exception.getMessage() or "").partition("\n")[0]
        return f"{java_class(error)}: {message}"
    return f"{type(error).__name__}: {error}".partition("\n")[0]
