"""The one poll of EMR that all waiting trainings of a connection and region share.

Airflow's triggerer runs one stream for all triggers with the same key. It lists the active clusters, page by page,
within a budget of calls a minute whatever their number; watched clusters that are no longer among the active are looked
up among the ended ones. What it sees goes to every trigger, and each picks its own. After a whole round it gives
free slots to those that wait for one, by the listing that it has just made.

The stream never raises: an exception would fail every training that waits on it.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from trainyard import clusters, connections, ledger
from trainyard.clusters import ACTIVE_STATES, ENDED_STATES, ClusterStatus
from trainyard.ledger import ClusterId, Listing
from trainyard.training import TrainingId

# at least this, whatever the account's budget says: what EMR allows by default is shared with all others
SECONDS_BETWEEN_CALLS = 2.0
_JITTER_SECONDS = 0.5
# how long a round waits for slots to be given out
_ADMISSION_SECONDS = 2.0
# Airflow parses the whole DAG file for each handful of tasks that end in the triggerer at once: where many wait, a
# round lasts as long as several calls, so that the handfuls are larger, for as long as more begin to wait: the machine
# is needed for launching then. The last ones are seen as soon as they can be.
_LONGEST_ROUND_CALLS = 5
_WAITING_PER_CALL = 4
# A page of the list of ended clusters tells of fifty, in an order that EMR does not promise: it is asked for where more
# than one has ended, and when at most so many are left they are described, rather than looked for on further pages.
_FEW = 3
# how far EMR's clock and ours may be apart
_CLOCK_DIFFERENCE = timedelta(minutes=5)

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Awaited:
    """A cluster that a trigger waits for."""

    cluster_id: ClusterId
    launched_at: datetime


@dataclass(frozen=True)
class Asking:
    """An attempt that waits for a slot, and the Airflow connection to its ledger."""

    training_id: TrainingId
    attempt: int
    app_db: str

    @property
    def key(self) -> tuple[TrainingId, int]:
        return (self.training_id, self.attempt)


@dataclass
class Group:
    """Who waits on one stream, by trigger.

    The stream is opened with one trigger's arguments only, so that this is how it learns of the others'.
    """

    awaited: dict[int, Awaited] = field(default_factory=dict)
    asking: dict[int, Asking] = field(default_factory=dict)

    def members(self) -> set[Hashable]:
        return {item.cluster_id for item in self.awaited.values()} | {
            item.key for item in self.asking.values()
        }


@dataclass(frozen=True)
class Sighting:
    """What one call saw; empty where EMR did not answer, so that time limits still run.

    :param admitted: attempts that got a slot
    """

    clusters: Mapping[ClusterId, ClusterStatus] = field(default_factory=dict)
    admitted: frozenset[tuple[TrainingId, int]] = frozenset()


groups: defaultdict[Hashable, Group] = defaultdict(Group)

# the streams' clients, by connection, for whoever must be quick
clients: dict[str, Any] = {}


def stream_key(aws_conn_id: str, region_name: str | None) -> Hashable:
    """Triggers with the same key share a stream; Airflow does not tell classes apart by it."""
    return ("trainyard", aws_conn_id, region_name)


async def sightings(aws_conn_id: str, region_name: str | None) -> AsyncIterator[Sighting]:
    """What EMR shows of the group's clusters, for as long as anybody asks."""
    group = groups[stream_key(aws_conn_id, region_name)]
    seconds = SECONDS_BETWEEN_CALLS
    admission = _Admission()
    while True:
        try:
            # in a thread: a hook called in the event loop loses its connection and points at real AWS
            emr = await asyncio.to_thread(connections.watching_emr_client, aws_conn_id)
            clients[aws_conn_id] = emr
            seconds = await asyncio.to_thread(_seconds_between_calls)
            while True:
                members, ends_at = group.members(), time.monotonic() + _round_seconds(group, seconds)
                async for sighting in _round(emr, aws_conn_id, group, admission, seconds):
                    yield sighting
                await _rest(group, members=members, ends_at=ends_at, seconds=seconds)
        except Exception:
            log.warning("EMR could not be asked; the next round will", exc_info=True)
            await _pause(seconds)
            yield Sighting()


def _round_seconds(group: Group, seconds: float) -> float:
    """How long a round lasts at least, while more begin to wait."""
    return seconds * min(_LONGEST_ROUND_CALLS, len(group.members()) // _WAITING_PER_CALL)


async def _rest(group: Group, *, members: set[Hashable], ends_at: float, seconds: float) -> None:
    """Until a round's end, as long as more begin to wait.

    :param members: who waited when the round began
    """
    while (left := ends_at - time.monotonic()) > 0 and not (waiting := group.members()) <= members:
        members = waiting
        await asyncio.sleep(min(seconds, left))


def _seconds_between_calls() -> float:
    try:
        budget = connections.account().poll_calls_per_minute
    except Exception:
        log.warning("the account's settings cannot be read; the poll keeps its usual pace", exc_info=True)
        return SECONDS_BETWEEN_CALLS
    return max(SECONDS_BETWEEN_CALLS, 60 / budget)


class _Admission:
    """Gives out slots beside the rounds: a ledger that hangs keeps nobody's end or time limit from being seen."""

    def __init__(self) -> None:
        self._task: asyncio.Task[frozenset[tuple[TrainingId, int]]] | None = None

    async def give_out(self, listing: Listing, asking: list[Asking]) -> frozenset[tuple[TrainingId, int]]:
        """Who got a slot, now or by an earlier round that took too long to wait for."""
        if self._task is None:
            self._task = asyncio.create_task(asyncio.to_thread(_admit, listing, asking))
        done, _ = await asyncio.wait({self._task}, timeout=_ADMISSION_SECONDS)
        if not done:
            return frozenset()
        self._task = None
        return done.pop().result()


async def _round(
    emr: Any, aws_conn_id: str, group: Group, admission: _Admission, seconds: float
) -> AsyncIterator[Sighting]:
    """Every active cluster, then each watched one that is not among them, then the free slots."""
    began_at = datetime.now(timezone.utc)
    awaited = {item.cluster_id: item for item in group.awaited.values()}
    listed: dict[ClusterId, ClusterStatus] = {}
    async for page in _pages(emr, seconds, ClusterStates=list(ACTIVE_STATES)):
        listed |= page
        yield Sighting(page)
    gone = [item for cluster_id, item in awaited.items() if cluster_id not in listed]
    async for sighting in _ended(emr, gone, seconds):
        yield sighting
    if group.asking:
        listing = clusters.listing_of(aws_conn_id, began_at, listed.values())
        yield Sighting(admitted=await admission.give_out(listing, list(group.asking.values())))


async def _ended(emr: Any, gone: list[Awaited], seconds: float) -> AsyncIterator[Sighting]:
    left = {item.cluster_id for item in gone}
    if len(gone) > 1:
        since = min(item.launched_at for item in gone) - _CLOCK_DIFFERENCE
        async for page in _pages(emr, seconds, ClusterStates=list(ENDED_STATES), CreatedAfter=since):
            left -= page.keys()
            yield Sighting(page)
            if len(left) <= _FEW:
                break
    # EMR's lists lag, so that these may be on neither of them
    for cluster_id in sorted(left):
        await _pause(seconds)
        yield await asyncio.to_thread(_look_at, emr, cluster_id)


async def _pages(emr: Any, seconds: float, **filters: Any) -> AsyncIterator[dict[ClusterId, ClusterStatus]]:
    marker: dict[str, str] = {}
    while True:
        await _pause(seconds)
        page = await asyncio.to_thread(emr.list_clusters, **filters, **marker)
        yield {ClusterId(cluster["Id"]): clusters.status_of(cluster) for cluster in page["Clusters"]}
        if "Marker" not in page:
            return
        marker = {"Marker": page["Marker"]}


def _look_at(emr: Any, cluster_id: ClusterId) -> Sighting:
    try:
        return Sighting({cluster_id: clusters.describe(emr, cluster_id)})
    except (BotoCoreError, ClientError):
        # one that EMR does not know must not keep the others from being looked at
        log.warning("cluster %s could not be described; the next round will", cluster_id, exc_info=True)
        return Sighting()


def _admit(listing: Listing, asking: Iterable[Asking]) -> frozenset[tuple[TrainingId, int]]:
    """The attempts that got a slot; none where the ledger or the settings cannot be reached."""
    admitted: frozenset[tuple[TrainingId, int]] = frozenset()
    by_database: defaultdict[str, list[tuple[TrainingId, int]]] = defaultdict(list)
    for item in asking:
        by_database[item.app_db].append(item.key)
    for app_db, keys in by_database.items():
        try:
            app = connections.watching_database(app_db)
            try:
                ledger.record_listing(app, listing)
                limits = connections.account().limits
                admitted |= ledger.admit(app, limits=limits, aws_conn_id=listing.aws_conn_id, asking=keys)
            finally:
                app.dispose()
        except Exception:
            log.warning("no slot could be given out; the next round will", exc_info=True)
    return admitted


async def _pause(seconds: float) -> None:
    await asyncio.sleep(seconds + random.uniform(0, _JITTER_SECONDS))  # noqa: S311
