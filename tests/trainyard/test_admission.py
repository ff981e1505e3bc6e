"""The account's limits hold over all that launch at once: a real PostgreSQL, real concurrency."""

from __future__ import annotations

import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime, timedelta, timezone
from threading import Barrier

import pytest
from sqlalchemy import Engine, text

from trainyard import ledger
from trainyard.databases import engine, upgrade_app_db
from trainyard.ledger import ClusterId, Limits, Listing, Pace, Reservation, admission
from trainyard.ledger.admission import Live, Queued, choose
from trainyard.training import Training, TrainingId

Key = tuple[TrainingId, int]
NOW = datetime(2026, 11, 22, tzinfo=timezone.utc)


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that stands still for a while is no stopped worker."""
    monkeypatch.setattr(admission, "_LOCK_SECONDS", 120)
    monkeypatch.setattr(admission, "_STALLED_SECONDS", 600)


@pytest.fixture
def app(database_url: str) -> Iterator[Engine]:
    app = engine(database_url)
    upgrade_app_db(app)
    yield app
    app.dispose()


def queue(
    app: Engine,
    name: str,
    *,
    day: int = 1,
    vcpus: int | None = None,
    priority: int = 0,
    aws_conn_id: str = "aws",
) -> Key:
    portfolio, _, model = name.rpartition(".")
    training = Training(
        deployment="laptop",
        portfolio=portfolio or "shop",
        model=model,
        data_date=date(2026, 11, day),
        dag_id=portfolio or "shop",
        run_id=f"backfill__{day}",
        output_root="s3://bucket/models",
    )
    reservation = Reservation(vcpus=vcpus, priority=priority, queued=True)
    attempt = ledger.allocate(app, training=training, aws_conn_id=aws_conn_id, reservation=reservation)
    return attempt.training_id, attempt.attempt


def admit(
    app: Engine,
    *keys: Key,
    clusters: int | None = None,
    vcpus: int | None = None,
    aws_conn_id: str = "aws",
) -> set[Key]:
    limits = Limits(max_live_clusters=clusters, max_vcpus=vcpus)
    return set(ledger.admit(app, limits=limits, aws_conn_id=aws_conn_id, asking=list(keys)))


def launch(app: Engine, key: Key) -> ClusterId:
    cluster_id = ClusterId(f"j-{key[0].upper()}")
    ledger.record_launch(app, training_id=key[0], attempt=key[1], cluster_id=cluster_id)
    return cluster_id


def listed(
    app: Engine,
    *cluster_ids: ClusterId,
    seconds_ahead: float = 0,
    aws_conn_id: str = "aws",
    account: str | None = None,
) -> None:
    began_at = datetime.now(timezone.utc) + timedelta(seconds=seconds_ahead)
    ledger.record_listing(app, Listing(aws_conn_id, began_at, frozenset(cluster_ids), account))


def test_of_twenty_launchers_at_one_slot_one_wins(app: Engine) -> None:
    keys = [queue(app, f"model_{number}") for number in range(20)]
    together = Barrier(20)

    def ask(key: Key) -> set[Key]:
        together.wait()
        return admit(app, key, clusters=1)

    with ThreadPoolExecutor(20) as threads:
        list(threads.map(ask, keys))
    with app.connect() as connection:
        states = connection.execute(text("SELECT state FROM operations.attempt")).scalars().all()
    assert sorted(states) == ["intended"] + ["queued"] * 19


def test_a_backfill_of_thirty_days_and_ten_models_never_shows_a_sixth_cluster(app: Engine) -> None:
    """Launched and ended at random, each in a thread of its own; what is live is counted by an own account of it."""
    waiting = [queue(app, f"model_{model}", day=day) for day in range(1, 31) for model in range(10)]
    live: dict[Key, ClusterId] = {}
    most, trained, choice = 0, 0, random.Random(7)
    while trained < 300:
        batches = [waiting[number::4] for number in range(4)]
        with ThreadPoolExecutor(4) as threads:
            admitted = set().union(*threads.map(lambda keys: admit(app, *keys, clusters=5), batches))
        waiting = [key for key in waiting if key not in admitted]
        live |= {key: launch(app, key) for key in admitted}
        most = max(most, len(live))
        for key in choice.sample(sorted(live), choice.randint(1, len(live))):
            ledger.end(app, training_id=key[0], attempt=key[1], outcome="succeeded")
            del live[key]
            trained += 1
    assert most == 5


def test_what_waits_shows_as_queued_until_it_is_admitted(app: Engine) -> None:
    first, second = queue(app, "first"), queue(app, "second")
    assert admit(app, first, second, clusters=1) == {first}
    assert [ledger.attempts(app, key[0])[0].state for key in (first, second)] == ["intended", "queued"]
    ledger.end(app, training_id=first[0], attempt=1, outcome="failed")
    # both: the first need not wait any more, either
    assert admit(app, first, second, clusters=1) == {first, second}


def test_clusters_of_others_count(app: Engine) -> None:
    waiting = queue(app, "hotels")
    listed(app, ClusterId("j-SOMEBODYELSES"), ClusterId("j-ANOTHERS"))
    assert admit(app, waiting, clusters=2) == set()
    assert admit(app, waiting, clusters=3) == {waiting}


def test_a_launched_cluster_counts_before_emr_lists_it_and_not_after_it_has_gone(app: Engine) -> None:
    first, second = queue(app, "first"), queue(app, "second")
    admit(app, first, clusters=1)
    launch(app, first)
    listed(app)
    assert admit(app, second, clusters=1) == set()
    # by now a list would have it
    listed(app, seconds_ahead=121)
    assert admit(app, second, clusters=1) == {second}


def test_a_cluster_that_gives_its_instances_back_counts_for_as_long_as_it_is_listed(app: Engine) -> None:
    first, second = queue(app, "first", vcpus=8), queue(app, "second", vcpus=8)
    admit(app, first, vcpus=8)
    cluster_id = launch(app, first)
    ledger.end(app, training_id=first[0], attempt=1, outcome="succeeded")
    listed(app, cluster_id)
    assert admit(app, second, vcpus=8) == set()
    listed(app, seconds_ahead=1)
    assert admit(app, second, vcpus=8) == {second}


def test_a_cluster_that_we_ended_before_it_was_listed_counts_until_a_listing_would_have_it(
    app: Engine,
) -> None:
    first, second = queue(app, "first"), queue(app, "second")
    listed(app)
    admit(app, first, clusters=1)
    launch(app, first)
    ledger.end(app, training_id=first[0], attempt=1, outcome="abandoned")
    assert admit(app, second, clusters=1) == set()
    listed(app, seconds_ahead=121)
    assert admit(app, second, clusters=1) == {second}


def test_what_another_connection_listed_long_ago_blocks_nobody(app: Engine) -> None:
    """Its portfolio has ended for the day, or the connection was renamed: nobody lists by it any more."""
    ours = [queue(app, f"model_{number}", aws_conn_id="first") for number in range(3)]
    assert admit(app, *ours, clusters=5, aws_conn_id="first") == set(ours)
    clusters = [launch(app, key) for key in ours]
    others = (ClusterId("j-ANOTHERS"), ClusterId("j-SOMEBODYELSES"))
    listed(app, *clusters, *others, seconds_ahead=-36_000, aws_conn_id="first", account="1/eu-west-1")
    for key in ours:
        ledger.end(app, training_id=key[0], attempt=1, outcome="succeeded")
    waiting = queue(app, "hotels", aws_conn_id="second")
    listed(app, aws_conn_id="second")
    assert admit(app, waiting, clusters=1, aws_conn_id="second") == {waiting}


def test_each_account_and_region_has_its_own_cap(app: Engine) -> None:
    first = queue(app, "first", vcpus=8, aws_conn_id="first")
    second = queue(app, "second", vcpus=8, aws_conn_id="second")
    listed(app, ClusterId("j-A"), aws_conn_id="first", account="1/eu-west-1")
    listed(app, ClusterId("j-B"), aws_conn_id="second", account="2/eu-west-1")
    assert admit(app, first, clusters=2, vcpus=8, aws_conn_id="first") == {first}
    assert admit(app, second, clusters=2, vcpus=8, aws_conn_id="second") == {second}


@pytest.mark.parametrize("account", ["1/eu-west-1", None])
def test_two_connections_to_one_account_and_region_or_to_who_knows_which_share_its_cap(
    app: Engine, account: str | None
) -> None:
    """Before EMR lists what one of them launches, the other must know of it."""
    first = queue(app, "first", aws_conn_id="first")
    second = queue(app, "second", aws_conn_id="second")
    listed(app, aws_conn_id="first", account=account)
    listed(app, aws_conn_id="second", account="1/eu-west-1")
    assert admit(app, first, clusters=1, aws_conn_id="first") == {first}
    assert admit(app, second, clusters=1, aws_conn_id="second") == set()
    launch(app, first)
    assert admit(app, second, clusters=1, aws_conn_id="second") == set()
    listed(app, seconds_ahead=121, aws_conn_id="second")
    assert admit(app, second, clusters=1, aws_conn_id="second") == {second}


def test_one_that_does_not_ask_any_more_holds_nobody_up(app: Engine) -> None:
    gone, waiting = queue(app, "gone", priority=9), queue(app, "waiting")
    admit(app, clusters=1)
    assert admit(app, waiting, clusters=1) == {waiting}
    assert ledger.attempts(app, gone[0])[0].state == "queued"


def test_a_reservation_whose_worker_died_is_given_up_after_an_hour_and_made_anew_by_its_next_try(
    app: Engine,
) -> None:
    died, waiting = queue(app, "died"), queue(app, "waiting")
    admit(app, died, clusters=1)
    with app.begin() as connection:
        connection.execute(text("UPDATE operations.attempt SET reserved_at = now() - interval '61 min'"))
    assert queue(app, "died") == died
    assert ledger.attempts(app, died[0])[0].state == "queued"
    assert admit(app, waiting, clusters=1) == {waiting}


def test_an_older_listing_does_not_replace_a_newer_one(app: Engine) -> None:
    listed(app, ClusterId("j-NEW"))
    ledger.record_listing(app, Listing("aws", NOW, frozenset()))
    assert admit(app, queue(app, "hotels"), clusters=1) == set()


def test_who_cannot_take_the_lock_is_told_to_wait_and_asks_again(
    app: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admission, "_LOCK_SECONDS", 1)
    waiting = queue(app, "hotels")
    with app.begin() as holder:
        admission._take_lock(holder)
        assert admit(app, waiting, clusters=1) == set()
    assert admit(app, waiting, clusters=1) == {waiting}


def test_a_worker_that_is_stopped_while_it_holds_the_lock_loses_it(
    app: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PostgreSQL would notice a lost machine after hours, and nobody could launch until then."""
    waiting = queue(app, "hotels")
    stopped = app.connect()
    with monkeypatch.context() as patch:
        patch.setattr(admission, "_STALLED_SECONDS", 1)
        admission._take_lock(stopped)
    assert admit(app, waiting, clusters=1) == {waiting}
    stopped.invalidate()
    stopped.close()


def waits(name: str, *, priority: int = 0, vcpus: int = 1, minute: int = 0) -> Queued:
    queued_at = NOW + timedelta(minutes=minute)
    return Queued(TrainingId(name), 1, name.partition(".")[0], priority, vcpus, queued_at)


def chosen(*queue: Queued, limits: Limits, **live: int) -> list[str]:
    found = choose(queue, Live(sum(live.values()), sum(live.values()), live), limits)
    return [item.training_id for item in found]


def test_portfolios_take_turns_however_many_models_each_has_queued() -> None:
    large = [waits(f"large.{number}", minute=number) for number in range(9)]
    small = [waits(f"small.{number}", minute=30 + number) for number in range(2)]
    got = chosen(*large, *small, limits=Limits(max_live_clusters=5))
    assert got == ["large.0", "small.0", "large.1", "small.1", "large.2"]


def test_a_portfolio_that_has_clusters_yields_to_one_that_has_none() -> None:
    queue = (waits("large.0", minute=0), waits("small.0", minute=5))
    assert chosen(*queue, limits=Limits(max_live_clusters=3), large=2) == ["small.0"]


def test_priority_goes_before_fairness() -> None:
    queue = (waits("large.0", priority=1, minute=9), waits("small.0"))
    assert chosen(*queue, limits=Limits(max_live_clusters=3), large=2) == ["large.0"]


def test_a_large_cluster_at_the_head_is_not_overtaken_for_ever() -> None:
    queue = (waits("a.large", vcpus=8), waits("b.small", vcpus=1, minute=1))
    assert chosen(*queue, limits=Limits(max_vcpus=10), c=3) == []
    assert chosen(*queue, limits=Limits(max_vcpus=11), c=3) == ["a.large"]


def test_launches_are_let_through_in_a_burst_and_then_at_the_pace(app: Engine) -> None:
    # a turn an hour, so that a few minutes on the way make no difference
    pace = Pace(per_minute=1 / 60, burst=5)
    delays = [ledger.launch_delay_seconds(app, pace) for _ in range(8)]
    assert delays[:5] == [0.0] * 5
    assert delays[5:] == pytest.approx([3600, 7200, 10_800], abs=600)


def test_workers_at_once_take_turns_and_none_the_same(app: Engine) -> None:
    pace = Pace(per_minute=1 / 60, burst=1)
    with ThreadPoolExecutor(10) as threads:
        delays = sorted(threads.map(lambda _: ledger.launch_delay_seconds(app, pace), range(10)))
    assert delays == pytest.approx(range(0, 36_000, 3600), abs=600)
