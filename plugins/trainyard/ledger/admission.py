"""Who may launch: the limits of an account and region held over all DAGs and runs, in one locked transaction.

Live is what EMR lists plus what the ledger has reserved: EMR's lists lag behind launches and tell no sizes, and the
ledger knows nothing of clusters that others launched. Every doubt counts as live.

Who asks brings what EMR has just listed by its own connection, which is all of that account and region: no other
connection's listing is read for what is live in it, however old or young. What other connections have under way counts
unless their listings show another account or region.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from psycopg.errors import LockNotAvailable
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import OperationalError

from trainyard.ledger.attempts import ClusterId
from trainyard.training import TrainingId

# a waiting task asks every few seconds; one that does not any more must not hold up those behind it
_SILENT_SECONDS = 120
# A reservation without a cluster is a launch under way, or one whose worker died. By then EMR lists a cluster that it
# made, and the task's next try reserves anew.
_RESERVED_SECONDS = 3600
# how long a cluster may stay out of ListClusters after RunJobFlow made it
_LIST_LAG_SECONDS = 120


@dataclass(frozen=True)
class Limits:
    """What may be live at once in an account and region; none: EMR's own limits hold."""

    max_live_clusters: int | None = None
    max_vcpus: int | None = None

    @property
    def bound(self) -> bool:
        """Whether anything has to be counted before a launch."""
        return self.max_live_clusters is not None or self.max_vcpus is not None

    def have_room(self, *, clusters: int, vcpus: int) -> bool:
        """Whether so much may be live."""
        return (self.max_live_clusters is None or clusters <= self.max_live_clusters) and (
            self.max_vcpus is None or vcpus <= self.max_vcpus
        )


@dataclass(frozen=True)
class Listing:
    """The active clusters that a whole ListClusters named, whoever launched them.

    :param began_at: aware; before the first page was asked for
    :param account: account and region, by the clusters' ARNs; none where there was no cluster to tell
    """

    aws_conn_id: str
    began_at: datetime
    cluster_ids: frozenset[ClusterId]
    account: str | None = None


@dataclass(frozen=True)
class Queued:
    """An attempt that waits for a slot."""

    training_id: TrainingId
    attempt: int
    portfolio: str
    priority: int
    vcpus: int
    queued_at: datetime


@dataclass(frozen=True)
class Live:
    """What counts as live now; ``by_portfolio`` holds ours only."""

    clusters: int
    vcpus: int
    by_portfolio: Mapping[str, int]


_LOCK = text("SELECT pg_advisory_xact_lock(hashtextextended('trainyard.admission', 0))")
# who holds it does so for milliseconds, unless its process is stopped or its machine gone: then its session is ended
_LOCK_SECONDS = 5
_STALLED_SECONDS = 20

_RECORD_LISTING = text(
    """
    INSERT INTO operations.listing AS old (aws_conn_id, began_at, cluster_ids, account)
    VALUES (:aws_conn_id, :began_at, :cluster_ids, :account)
    ON CONFLICT (aws_conn_id) DO UPDATE
    SET began_at = excluded.began_at, cluster_ids = excluded.cluster_ids,
        account = coalesce(excluded.account, old.account)
    WHERE old.began_at < excluded.began_at
    """
)

_LISTED_AGO = text(
    """
    SELECT extract(epoch FROM clock_timestamp() - began_at) FROM operations.listing
    WHERE aws_conn_id = :aws_conn_id
    """
)

_ASK = text(
    """
    UPDATE operations.attempt SET asked_at = clock_timestamp()
    WHERE state = 'queued' AND (training_id, attempt) IN (
        SELECT * FROM unnest(CAST(:training_ids AS text[]), CAST(:attempts AS integer[]))
    )
    """
)

# the listing of the connection that slots are given out for, if there is one yet
_MINE = "(SELECT (SELECT l FROM operations.listing l WHERE l.aws_conn_id = :aws_conn_id) AS listing) AS mine"

# the queues of two connections to one account and region are one
_QUEUE = text(
    f"""
    SELECT training_id, attempt, portfolio, priority, coalesce(vcpus, 0) AS vcpus, queued_at
    FROM {_MINE}, operations.attempt a LEFT JOIN operations.listing l USING (aws_conn_id)
    WHERE state = 'queued' AND asked_at > clock_timestamp() - make_interval(secs => :silent)
      AND (a.aws_conn_id = :aws_conn_id OR l.account = (mine.listing).account)
    """  # noqa: S608
)

# A launched cluster that a listing young enough to have it does not name has gone. One that the ledger has ended is
# live for as long as it is listed, and where we ended it, until a listing would have it: its instances are being given
# back.
_OURS = text(
    f"""
    SELECT a.portfolio, count(*) AS clusters, coalesce(sum(a.vcpus), 0) AS vcpus
    FROM {_MINE}, operations.attempt a LEFT JOIN operations.listing l USING (aws_conn_id)
    WHERE a.cluster_id = ANY((mine.listing).cluster_ids)
       OR (a.aws_conn_id = :aws_conn_id OR l.account = (mine.listing).account) IS NOT FALSE
          AND ((a.state = 'intended' AND a.reserved_at > clock_timestamp() - make_interval(secs => :reserved))
               OR (a.state = 'launched' AND (mine.listing).began_at IS NULL)
               OR ((a.state = 'launched' OR (a.state = 'ended' AND a.outcome = 'abandoned'))
                   AND a.launched_at > (mine.listing).began_at - make_interval(secs => :lag)))
    GROUP BY a.portfolio
    """  # noqa: S608
)

_OTHERS = text(
    """
    SELECT count(*)
    FROM operations.listing l CROSS JOIN LATERAL unnest(l.cluster_ids) AS listed (id)
    WHERE l.aws_conn_id = :aws_conn_id
      AND NOT EXISTS (SELECT FROM operations.attempt a WHERE a.cluster_id = listed.id)
    """
)

_RESERVE = text(
    """
    UPDATE operations.attempt SET state = 'intended', reserved_at = clock_timestamp()
    WHERE state = 'queued' AND (training_id, attempt) IN (
        SELECT * FROM unnest(CAST(:training_ids AS text[]), CAST(:attempts AS integer[]))
    )
    """
)

_NO_LONGER_QUEUED = text(
    """
    SELECT training_id, attempt FROM operations.attempt
    WHERE state <> 'queued' AND (training_id, attempt) IN (
        SELECT * FROM unnest(CAST(:training_ids AS text[]), CAST(:attempts AS integer[]))
    )
    """
)


def record_listing(app: Engine, listing: Listing) -> None:
    """Keep what EMR listed; an older listing never replaces a newer one."""
    with app.begin() as connection:
        connection.execute(
            _RECORD_LISTING,
            {
                "aws_conn_id": listing.aws_conn_id,
                "began_at": listing.began_at,
                "cluster_ids": sorted(listing.cluster_ids),
                "account": listing.account,
            },
        )


def listed_seconds_ago(app: Engine, aws_conn_id: str) -> float:
    """How old the last listing of a connection is; infinite where there is none."""
    with app.connect() as connection:
        seconds = connection.execute(_LISTED_AGO, {"aws_conn_id": aws_conn_id}).scalar_one_or_none()
        return float("inf") if seconds is None else float(seconds)


@contextmanager
def listing_lock(app: Engine) -> Iterator[None]:
    """Of many workers that want a fresh listing, one makes it and the others find it made."""
    with app.begin() as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(hashtextextended('trainyard.listing', 0))"))
        yield


def admit(
    app: Engine, *, limits: Limits, aws_conn_id: str, asking: Sequence[tuple[TrainingId, int]]
) -> frozenset[tuple[TrainingId, int]]:
    """Give out the free slots of an account and region, in the queue's order; say which of those that ask wait no more.

    :param aws_conn_id: of those that ask; what EMR lists by it must have been recorded just now
    :param asking: training id and attempt of tasks that are there to launch; one that has not asked for two minutes
        loses its turn until it asks again
    :returns: those of ``asking`` that are reserved, or that need not be since they have ended; none where it is not to
        be had who may launch, which is for the next round to ask again
    """
    try:
        return _admit(app, limits, aws_conn_id, asking)
    except OperationalError as error:
        if isinstance(error.orig, LockNotAvailable):
            return frozenset()
        raise


def _admit(
    app: Engine, limits: Limits, aws_conn_id: str, asking: Sequence[tuple[TrainingId, int]]
) -> frozenset[tuple[TrainingId, int]]:
    ours = {"training_ids": [item[0] for item in asking], "attempts": [item[1] for item in asking]}
    with app.begin() as connection:
        _take_lock(connection)
        connection.execute(_ASK, ours)
        chosen = choose(_queue(connection, aws_conn_id), _live(connection, aws_conn_id), limits)
        connection.execute(
            _RESERVE,
            {
                "training_ids": [item.training_id for item in chosen],
                "attempts": [item.attempt for item in chosen],
            },
        )
        rows = connection.execute(_NO_LONGER_QUEUED, ours)
        return frozenset((TrainingId(row.training_id), row.attempt) for row in rows)


def choose(queue: Sequence[Queued], live: Live, limits: Limits) -> list[Queued]:
    """Who gets a slot: the highest priority, then the portfolio with the fewest live clusters, then the longest wait.

    The first that does not fit ends it: smaller ones that overtook a large cluster would keep it waiting for ever.
    """
    waiting, chosen = list(queue), []
    clusters, vcpus, by_portfolio = live.clusters, live.vcpus, dict(live.by_portfolio)
    while waiting:
        first = min(
            waiting,
            key=lambda item: (
                -item.priority,
                by_portfolio.get(item.portfolio, 0),
                item.queued_at,
                item.training_id,
            ),
        )
        clusters, vcpus = clusters + 1, vcpus + first.vcpus
        if not limits.have_room(clusters=clusters, vcpus=vcpus):
            break
        waiting.remove(first)
        chosen.append(first)
        by_portfolio[first.portfolio] = by_portfolio.get(first.portfolio, 0) + 1
    return chosen


def _take_lock(connection: Connection) -> None:
    """Alone until the transaction ends."""
    connection.execute(text(f"SET LOCAL lock_timeout = '{_LOCK_SECONDS}s'"))
    connection.execute(text(f"SET LOCAL idle_in_transaction_session_timeout = '{_STALLED_SECONDS}s'"))
    # a statement of its own: the next one's snapshot must be younger than the lock
    connection.execute(_LOCK)


def _queue(connection: Connection, aws_conn_id: str) -> list[Queued]:
    rows = connection.execute(_QUEUE, {"aws_conn_id": aws_conn_id, "silent": _SILENT_SECONDS}).mappings()
    return [Queued(**row) for row in rows]


def _live(connection: Connection, aws_conn_id: str) -> Live:
    bounds = {"reserved": _RESERVED_SECONDS, "lag": _LIST_LAG_SECONDS}
    ours = connection.execute(_OURS, {"aws_conn_id": aws_conn_id, **bounds}).all()
    others = int(connection.execute(_OTHERS, {"aws_conn_id": aws_conn_id}).scalar_one())
    return Live(
        clusters=sum(row.clusters for row in ours) + others,
        vcpus=sum(row.vcpus for row in ours),
        by_portfolio={row.portfolio: row.clusters for row in ours},
    )
