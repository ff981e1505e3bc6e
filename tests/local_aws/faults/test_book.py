"""How often and how long a fault hits, and whom, with a clock moved by hand."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from local_aws.faults.book import FaultBook
from local_aws.faults.kinds import FailStep, HangStep, NoCapacity, StepEndFault, Throttle

START = datetime(2026, 11, 23, 2, tzinfo=timezone.utc)


def after(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def is_throttled(book: FaultBook, now: datetime, operation: str = "RunJobFlow", *clusters: str) -> bool:
    return book.hit_call(Throttle, now, operation=operation, clusters=clusters) is not None


def test_a_bucket_lets_a_burst_through_and_refills_up_to_it() -> None:
    book = FaultBook()
    book.add([Throttle(calls=("RunJobFlow",), burst=2, refill_per_second=0.5)], START)
    assert [is_throttled(book, START) for _ in range(4)] == [False, False, True, True]
    # a refused call takes no token: half a one is there after a second, a whole one after two
    assert is_throttled(book, after(1))
    assert not is_throttled(book, after(2))
    assert [is_throttled(book, after(1000)) for _ in range(3)] == [False, False, True]


def test_many_small_refills_make_a_whole_token() -> None:
    book = FaultBook()
    book.add([Throttle(burst=1, refill_per_second=0.1)], START)
    assert not is_throttled(book, START)
    assert [is_throttled(book, after(second)) for second in range(1, 11)] == [True] * 9 + [False]


def test_a_fault_ends_by_its_time_or_its_number_whichever_comes_first() -> None:
    book = FaultBook()
    book.add([Throttle(times=2, for_seconds=10)], START)
    assert [is_throttled(book, after(second)) for second in (0, 11, 1, 2)] == [True, False, True, False]
    (shown,) = book.show(after(2))
    assert (shown["hits"], shown["in_force"]) == (2, False)


def test_patterns_choose_operations_and_clusters() -> None:
    book = FaultBook()
    book.add([Throttle(calls=("Describe*", "ListSteps"), cluster="*-churn-*")], START)

    def throttled(operation: str, *clusters: str) -> bool:
        return is_throttled(book, START, operation, *clusters)

    assert throttled("DescribeStep", "shop-churn-1")
    assert throttled("ListSteps", "a", "shop-churn-1")
    assert not throttled("ListSteps", "shop-fraud-1")
    assert not throttled("RunJobFlow", "shop-churn-1")
    assert not throttled("DescribeStep")


def test_of_several_faults_of_a_step_the_one_set_first_hits() -> None:
    book = FaultBook()
    book.add([HangStep(step="b", times=1), FailStep(message="no"), HangStep()], START)

    def hit(step: str) -> str:
        found = book.hit_step(StepEndFault, START, cluster="c", step=step)
        assert isinstance(found, HangStep | FailStep)
        return found.kind

    assert [hit("a"), hit("b"), hit("b")] == ["fail_step", "hang_step", "fail_step"]


def test_a_fault_lets_go_of_those_it_holds_when_it_is_removed_or_its_time_is_up() -> None:
    book = FaultBook()
    removed, timed = book.add([NoCapacity(times=1), NoCapacity(for_seconds=5)], START)
    assert book.hit_cluster(NoCapacity, START, cluster="c") == (removed, NoCapacity(times=1))
    # one that has no hits left still holds whom it hit
    assert book.stands(removed, after(100))
    assert [book.stands(timed, after(second)) for second in (4, 5)] == [True, False]
    book.remove(removed)
    assert not book.stands(removed, START)
