"""The EMR API: a request's bytes in, EMR's answer out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from local_aws.emr.control_plane import ControlPlane
from local_aws.emr.errors import ValidationError
from local_aws.emr.operations import clusters, instances, policies, steps
from local_aws.emr.operations.asked import Answer, Asked, Operation
from local_aws.emr.service import EmrService
from local_aws.emr.service_model import EmrServiceModel

Request = Mapping[str, Any]

CHANGES: Mapping[str, Operation] = {**clusters.CHANGES, **steps.CHANGES, **policies.CHANGES}
LOOKS: Mapping[str, Operation] = {**clusters.LOOKS, **steps.LOOKS, **instances.LOOKS, **policies.LOOKS}


class EmrApi:
    """:param refusals: what the machine that runs the steps says against a RunJobFlow request
    :param runs_steps: whether steps are run; where all are simulated, nothing is refused for lack of a program
    """

    def __init__(
        self,
        service: EmrService,
        *,
        refusals: Callable[[Request], Iterable[str]] = lambda _: (),
        runs_steps: bool = True,
    ) -> None:
        self._service = service
        self._refusals = refusals
        self._runs_steps = runs_steps
        self._model = EmrServiceModel()

    def call(self, operation: str, body: bytes, *, region: str) -> Answer:
        """Raises EmrError for everything that EMR would refuse, and for what is not supported here."""
        request = self._model.read(operation, body)
        if operation == "RunJobFlow" and self._runs_steps:
            for sentence in self._refusals(request):
                raise ValidationError(sentence)

        def ask(work: Operation) -> Callable[[ControlPlane, datetime], Answer]:
            return lambda plane, now: work(Asked(plane, request, now, region, self._runs_steps))

        if operation in CHANGES:
            return self._service.change(ask(CHANGES[operation]))
        return self._service.look(ask(LOOKS[operation]))
