"""Attempts: in a training, out the attempts made for it, each one cluster.

An attempt's row is written before its cluster is asked for and filled in as it lives, so that whoever comes
after a crash (the task's next try, the reaper, publish) reads what was meant and how far it got. Attempts are
numbered here and nowhere else. Table ``operations.attempt`` of the application database; every function is
one transaction.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime
from typing import Literal, NewType

from sqlalchemy import Connection, Engine, RowMapping, TextClause, text

from trainyard.costs import AskedInstances
from trainyard.databases import utc_values
from trainyard.job_flow import cluster_name
from trainyard.training import S3Uri, Sha256, Training, TrainingId

ClusterId = NewType("ClusterId", str)
StepId = NewType("StepId", str)
State = Literal["queued", "intended", "launched", "ended"]
Outcome = Literal["succeeded", "failed", "abandoned"]


class LedgerError(RuntimeError):
    """The ledger holds something else than the caller believes."""


@dataclass(frozen=True)
class Attempt:
    """One row of the ledger; times are UTC.

    :param instances: what its cluster was asked to have when it was launched; none: not recorded
    """

    training_id: TrainingId
    attempt: int
    deployment: str
    portfolio: str
    model: str
    data_date: date
    dag_id: str
    run_id: str
    output_uri: S3Uri
    aws_conn_id: str
    cluster_name: str
    cluster_id: ClusterId | None
    step_id: StepId | None
    request_sha256: Sha256 | None
    vcpus: int | None
    instances: tuple[AskedInstances, ...] | None
    state: State
    outcome: Outcome | None
    failure_code: str | None
    failure_reason: str | None
    intended_at: datetime
    launched_at: datetime | None
    awaited_at: datetime | None
    ended_at: datetime | None


@dataclass(frozen=True)
class Reservation:
    """What an attempt holds of the account's limits.

    :param vcpus: of its cluster at its largest; none where nothing counts them
    :param priority: higher goes first
    :param queued: whether it must be admitted before it may launch
    """

    vcpus: int | None = None
    priority: int = 0
    queued: bool = False


_COLUMNS = ", ".join(field.name for field in fields(Attempt))

# S608: the only thing formatted into these is our own list of columns
_SELECT = text(f"SELECT {_COLUMNS} FROM operations.attempt WHERE training_id = :training_id ORDER BY attempt")  # noqa: S608

_SELECT_MANY = text(
    f"""
    SELECT {_COLUMNS} FROM operations.attempt WHERE training_id = ANY(:training_ids)
    ORDER BY training_id, attempt
    """  # noqa: S608
)

_SELECT_BY_NAME = text(f"SELECT {_COLUMNS} FROM operations.attempt WHERE cluster_name = ANY(:names)")  # noqa: S608

_SELECT_WITHOUT_CLUSTER = text(
    f"""
    SELECT {_COLUMNS} FROM operations.attempt
    WHERE deployment = :deployment AND state IN ('queued', 'intended')
      AND intended_at < clock_timestamp() - interval '1 hour'
    """  # noqa: S608
)

_CONNECTIONS = text(
    """
    SELECT DISTINCT aws_conn_id FROM operations.attempt
    WHERE deployment = :deployment AND intended_at > clock_timestamp() - interval '1 month'
    ORDER BY aws_conn_id
    """
)

_INSERT = text(
    f"""
    INSERT INTO operations.attempt
        (training_id, attempt, deployment, portfolio, model, data_date, dag_id, run_id, output_uri,
         aws_conn_id, cluster_name, vcpus, priority, state, reserved_at)
    VALUES
        (:training_id, :attempt, :deployment, :portfolio, :model, :data_date, :dag_id, :run_id, :output_uri,
         :aws_conn_id, :cluster_name, :vcpus, :priority,
         CASE WHEN :queued THEN 'queued' ELSE 'intended' END, CASE WHEN :queued THEN NULL ELSE now() END)
    RETURNING {_COLUMNS}
    """  # noqa: S608
)

# half of the time after which a reservation without a cluster counts no more
_OLD_SECONDS = 1800

_QUEUE_AGAIN = text(
    """
    UPDATE operations.attempt SET state = 'queued', queued_at = clock_timestamp(), reserved_at = NULL
    WHERE training_id = :training_id AND state = 'intended'
      AND reserved_at < clock_timestamp() - make_interval(secs => :old)
    """
)

_RECORD_REQUEST = text(
    f"""
    UPDATE operations.attempt
    SET request_sha256 = :request_sha256,
        instances = CASE state WHEN 'intended' THEN CAST(:instances AS jsonb) ELSE instances END
    WHERE training_id = :training_id AND attempt = :attempt
      AND (state = 'intended' AND request_sha256 IS NULL OR request_sha256 = :request_sha256)
    RETURNING {_COLUMNS}
    """  # noqa: S608
)

_TAKE_BACK_REQUEST = text(
    f"""
    UPDATE operations.attempt SET request_sha256 = NULL, instances = NULL
    WHERE training_id = :training_id AND attempt = :attempt AND state = 'intended'
      AND request_sha256 = :request_sha256
    RETURNING {_COLUMNS}
    """  # noqa: S608
)

# a launch that arrives after the end is kept too: its cluster is alive and somebody must be able to end it
_RECORD_LAUNCH = text(
    f"""
    UPDATE operations.attempt
    SET cluster_id = :cluster_id,
        step_id = coalesce(:step_id, step_id),
        launched_at = coalesce(launched_at, clock_timestamp()),
        state = CASE state WHEN 'intended' THEN 'launched' ELSE state END
    WHERE training_id = :training_id AND attempt = :attempt
      AND (cluster_id IS NULL OR cluster_id = :cluster_id)
    RETURNING {_COLUMNS}
    """  # noqa: S608
)

_RECORD_STEP = text(
    f"""
    UPDATE operations.attempt SET step_id = :step_id
    WHERE training_id = :training_id AND attempt = :attempt AND cluster_id IS NOT NULL
      AND (step_id IS NULL OR step_id = :step_id)
    RETURNING {_COLUMNS}
    """  # noqa: S608
)

_RECORD_WAIT = text(
    f"""
    UPDATE operations.attempt SET awaited_at = coalesce(awaited_at, clock_timestamp())
    WHERE training_id = :training_id AND attempt = :attempt AND state = 'launched'
    RETURNING {_COLUMNS}
    """  # noqa: S608
)

_END = text(
    f"""
    UPDATE operations.attempt
    SET state = 'ended', outcome = :outcome, failure_code = :failure_code, failure_reason = :failure_reason,
        ended_at = clock_timestamp()
    WHERE training_id = :training_id AND attempt = :attempt
      AND CASE WHEN :only_queued THEN state = 'queued' ELSE state <> 'ended' END
    RETURNING {_COLUMNS}
    """  # noqa: S608
)


def allocate(
    app: Engine, *, training: Training, aws_conn_id: str, reservation: Reservation | None = None
) -> Attempt:
    """The training's unfinished attempt if it has one, else its next: ``intended``, or ``queued`` where it must wait.

    :param reservation: what it holds of the account's limits; none: nothing that is counted

    Callers at the same time get the same attempt: one of them makes it, under a lock of the training's own.
    """
    reservation = reservation or Reservation()
    with app.begin() as connection:
        # a lock on rows could not hold the first attempt, which has none; taken in a statement of its own,
        # since the next statement's snapshot must be younger than the lock
        connection.execute(
            text("SELECT pg_advisory_xact_lock(hashtextextended('trainyard.attempt.' || :training_id, 0))"),
            {"training_id": training.training_id},
        )
        if reservation.queued:
            connection.execute(_QUEUE_AGAIN, {"training_id": training.training_id, "old": _OLD_SECONDS})
        existing = _attempts(connection, training.training_id)
        if existing and existing[-1].state != "ended":
            return existing[-1]
        number = len(existing) + 1
        row = connection.execute(
            _INSERT,
            {
                "training_id": training.training_id,
                "attempt": number,
                "deployment": training.deployment,
                "portfolio": training.portfolio,
                "model": training.model,
                "data_date": training.data_date,
                "dag_id": training.dag_id,
                "run_id": training.run_id,
                "output_uri": training.attempt_folder(number),
                "aws_conn_id": aws_conn_id,
                "cluster_name": cluster_name(training, number),
                "vcpus": reservation.vcpus,
                "priority": reservation.priority,
                "queued": reservation.queued,
            },
        )
        return _attempt(row.mappings().one())


def attempts(app: Engine, training_id: TrainingId) -> list[Attempt]:
    """Every attempt of a training, in ascending order."""
    with app.connect() as connection:
        return _attempts(connection, training_id)


def attempts_by_training(app: Engine, training_ids: list[TrainingId]) -> dict[TrainingId, list[Attempt]]:
    """The attempts of many trainings in one query; a training without one has an empty list."""
    found: dict[TrainingId, list[Attempt]] = {training_id: [] for training_id in training_ids}
    with app.connect() as connection:
        for row in connection.execute(_SELECT_MANY, {"training_ids": training_ids}).mappings():
            found[row["training_id"]].append(_attempt(row))
    return found


def attempts_by_cluster_name(app: Engine, names: list[str]) -> dict[str, Attempt]:
    """The attempts that clusters of these names belong to, by name."""
    with app.connect() as connection:
        rows = connection.execute(_SELECT_BY_NAME, {"names": names}).mappings()
        return {row["cluster_name"]: _attempt(row) for row in rows}


def attempts_without_cluster(app: Engine, deployment: str) -> list[Attempt]:
    """A deployment's unfinished attempts that have had no cluster for an hour: queued, or given up on the way."""
    with app.connect() as connection:
        rows = connection.execute(_SELECT_WITHOUT_CLUSTER, {"deployment": deployment}).mappings()
        return [_attempt(row) for row in rows]


def aws_connections(app: Engine, deployment: str) -> list[str]:
    """Ids of the Airflow connections that a deployment launched clusters by within the last month."""
    with app.connect() as connection:
        return list(connection.execute(_CONNECTIONS, {"deployment": deployment}).scalars())


def record_request(
    app: Engine,
    *,
    training_id: TrainingId,
    attempt: int,
    request_sha256: Sha256,
    instances: Sequence[AskedInstances] | None = None,
) -> Attempt:
    """Record what is about to be launched, once: another request is another worker's, which may have launched it.

    :param request_sha256: of ``request.json``
    :param instances: what the cluster is asked to have; none: not known
    :raises LedgerError: another request is recorded, or the attempt has ended
    """
    asked = None if instances is None else json.dumps([each.model_dump(mode="json") for each in instances])
    values = {"request_sha256": request_sha256, "instances": asked}
    return _update(app, _RECORD_REQUEST, training_id, attempt, **values)


def take_back_request(
    app: Engine, *, training_id: TrainingId, attempt: int, request_sha256: Sha256
) -> Attempt:
    """Record that EMR has made nothing of a request, for certain: the attempt may be launched by another.

    :raises LedgerError: another request is recorded, or the attempt is launched or has ended
    """
    return _update(app, _TAKE_BACK_REQUEST, training_id, attempt, request_sha256=request_sha256)


def record_launch(
    app: Engine,
    *,
    training_id: TrainingId,
    attempt: int,
    cluster_id: ClusterId,
    step_id: StepId | None = None,
) -> Attempt:
    """Record the cluster, at once after RunJobFlow has answered or the cluster was found by its name.

    An attempt that has ended meanwhile stays ended: look at the returned state before letting it run.

    :raises LedgerError: the attempt has another cluster
    """
    return _update(app, _RECORD_LAUNCH, training_id, attempt, cluster_id=cluster_id, step_id=step_id)


def record_step(app: Engine, *, training_id: TrainingId, attempt: int, step_id: StepId) -> Attempt:
    """Record the id of the training's step on the recorded cluster.

    :raises LedgerError: there is no cluster, or another step
    """
    return _update(app, _RECORD_STEP, training_id, attempt, step_id=step_id)


def record_wait(app: Engine, *, training_id: TrainingId, attempt: int) -> Attempt:
    """Record that a task waits for the attempt: its next try finds it awaited already, and replaces it.

    :raises LedgerError: the attempt is not launched, or has ended
    """
    return _update(app, _RECORD_WAIT, training_id, attempt)


def end(
    app: Engine,
    *,
    training_id: TrainingId,
    attempt: int,
    outcome: Outcome,
    failure_code: str | None = None,
    failure_reason: str | None = None,
    only_queued: bool = False,
) -> Attempt:
    """End an attempt, once: the first end stays, and whoever comes later gets it back.

    :param only_queued: leave one alone that has got its slot meanwhile
    :raises LedgerError: there is no such attempt
    """
    parameters = {
        "training_id": training_id,
        "attempt": attempt,
        "outcome": outcome,
        "only_queued": only_queued,
    }
    causes = {"failure_code": failure_code, "failure_reason": failure_reason}
    with app.begin() as connection:
        row = connection.execute(_END, parameters | causes).mappings().one_or_none()
        return _attempt(row) if row is not None else _existing(connection, training_id, attempt)


def _update(
    app: Engine, statement: TextClause, training_id: TrainingId, attempt: int, **values: str | None
) -> Attempt:
    with app.begin() as connection:
        parameters = {"training_id": training_id, "attempt": attempt, **values}
        row = connection.execute(statement, parameters).mappings().one_or_none()
        if row is not None:
            return _attempt(row)
        existing = _existing(connection, training_id, attempt)
        told = {name: value for name, value in values.items() if name != "instances"}
        raise LedgerError(
            f"{existing.model}: attempt {attempt} of training {training_id} is {existing.state} with cluster "
            f"{existing.cluster_id} and step {existing.step_id}; it does not take {told}"
        )


def _existing(connection: Connection, training_id: TrainingId, attempt: int) -> Attempt:
    for existing in _attempts(connection, training_id):
        if existing.attempt == attempt:
            return existing
    raise LedgerError(f"training {training_id} has no attempt {attempt} in the ledger; allocate it first")


def _attempts(connection: Connection, training_id: TrainingId) -> list[Attempt]:
    rows = connection.execute(_SELECT, {"training_id": training_id}).mappings()
    return [_attempt(row) for row in rows]


def _attempt(row: RowMapping) -> Attempt:
    values = utc_values(row)
    if values["instances"] is not None:
        values["instances"] = tuple(AskedInstances.model_validate(each) for each in values["instances"])
    return Attempt(**values)
