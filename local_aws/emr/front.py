"""EMR as its callers meet it: the faults of calls around the API, and the journal beside it."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from time import monotonic
from typing import Any, TypeVar

from local_aws.emr.api import EmrApi
from local_aws.emr.control_plane import ControlPlane
from local_aws.emr.errors import EmrError, InjectedError, InternalServerError, ThrottlingError
from local_aws.emr.service import EmrService
from local_aws.faults.book import FaultId
from local_aws.faults.kinds import AnswerLate, CallFault, DropReply, ListLag, Refuse, Throttle
from local_aws.journal import Call, Journal

Kind = TypeVar("Kind", bound=CallFault)
LOG = logging.getLogger("local_aws")


@dataclass(frozen=True)
class Reply:
    """What is to be sent, and how.

    :param delay_seconds: to be waited before anything is sent
    :param dropped: break the connection instead of sending
    """

    status: int
    body: Mapping[str, Any]
    delay_seconds: float = 0.0
    dropped: bool = False


@dataclass
class _Attempt:
    """A call on its way through the faults."""

    operation: str
    at: datetime
    cluster_ids: tuple[str, ...]
    cluster_names: tuple[str, ...]
    faults: list[FaultId] = field(default_factory=list)

    def hit(self, kind: type[Kind], plane: ControlPlane, now: datetime) -> Kind | None:
        found = plane.faults.hit_call(kind, now, operation=self.operation, clusters=self.cluster_names)
        if found is None:
            return None
        self.faults.append(found[0])
        return found[1]


class EmrFront:
    def __init__(self, api: EmrApi, service: EmrService, journal: Journal) -> None:
        self._api = api
        self._service = service
        self._journal = journal

    def call(self, operation: str, body: bytes, *, region: str) -> Reply:
        started = monotonic()
        request = _as_object(body)
        attempt, problem = self._service.look(lambda plane, now: _begin(operation, request, plane, now))
        if problem is not None:
            reply = Reply(problem.status, problem.body())
        else:
            status, answer, problem = self._work(operation, body, region)
            reply = self._service.look(lambda plane, now: _reply(attempt, status, answer, plane, now))
        made = reply.body.get("JobFlowId")
        self._journal.add_call(
            Call(
                number=0,
                at=attempt.at,
                operation=operation,
                cluster_ids=(*attempt.cluster_ids, *([made] if made else [])),
                cluster_names=attempt.cluster_names,
                status=0 if reply.dropped else reply.status,
                error=problem.code if problem else None,
                message=problem.message if problem else None,
                faults=tuple(attempt.faults),
                seconds=round(monotonic() - started + reply.delay_seconds, 6),
            )
        )
        return reply

    def _work(
        self, operation: str, body: bytes, region: str
    ) -> tuple[int, Mapping[str, Any], EmrError | None]:
        try:
            return 200, self._api.call(operation, body, region=region), None
        except EmrError as refused:
            return refused.status, refused.body(), refused
        except Exception as problem:
            LOG.exception("%s could not be answered", operation)
            unforeseen = InternalServerError(
                f"local_aws could not answer: {type(problem).__name__}: {problem}"
            )
            return unforeseen.status, unforeseen.body(), unforeseen


def _as_object(body: bytes) -> Mapping[str, Any]:
    """The request, if it is one; what is wrong with it otherwise is said by the API."""
    try:
        found = json.loads(body or b"{}")
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _attempt(operation: str, request: Mapping[str, Any], plane: ControlPlane, now: datetime) -> _Attempt:
    given = [request.get(member) for member in ("ClusterId", "JobFlowId", "ResourceId")]
    several = request.get("JobFlowIds")
    given += several if isinstance(several, list) else []
    ids = tuple(cluster_id for cluster_id in given if isinstance(cluster_id, str))
    names = [cluster.name for cluster in (plane.find(cluster_id) for cluster_id in ids) if cluster]
    if operation == "RunJobFlow":
        names.append(str(request.get("Name", "")))
    return _Attempt(operation, now, ids, tuple(names))


def _begin(
    operation: str, request: Mapping[str, Any], plane: ControlPlane, now: datetime
) -> tuple[_Attempt, EmrError | None]:
    attempt = _attempt(operation, request, plane, now)
    return attempt, _kept_out(attempt, plane, now)


def _kept_out(attempt: _Attempt, plane: ControlPlane, now: datetime) -> EmrError | None:
    """What a fault answers instead of the API."""
    if attempt.hit(Throttle, plane, now):
        return ThrottlingError("Rate exceeded")
    refusal = attempt.hit(Refuse, plane, now)
    return InjectedError(refusal.message, code=refusal.code, status=refusal.status) if refusal else None


def _reply(
    attempt: _Attempt, status: int, answer: Mapping[str, Any], plane: ControlPlane, now: datetime
) -> Reply:
    if attempt.operation == "ListClusters" and status == 200:
        names = (cluster.name for cluster in plane.clusters)
        attempt.faults += plane.faults.hit_listing(ListLag, now, clusters=names)
    late = attempt.hit(AnswerLate, plane, now)
    dropped = attempt.hit(DropReply, plane, now) is not None
    return Reply(status, answer, late.delay_seconds if late else 0.0, dropped)
