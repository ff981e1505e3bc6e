"""Which of the versions that served is the best, by what is known of them on common rows."""

from __future__ import annotations

import math
from datetime import date, timedelta

from trainyard.publishing.comparables import Link, best_version, links_of

TODAY = date(2026, 11, 22)


def days(*versions: int) -> dict[int, date]:
    """Versions with data dates in their order."""
    return {version: TODAY + timedelta(days=version) for version in versions}


def link(newer: int, older: int, ratio: float) -> Link:
    return Link(newer, older, math.log(ratio))


def test_ratios_multiply_along_the_pairs_of_successors():
    # 1 → 2 better by a tenth, 2 → 3 worse by a twentieth, 3 → 4 worse by a twentieth
    links = [link(2, 1, 0.9), link(3, 2, 1.05), link(4, 3, 1.05)]
    assert best_version(4, links, among=days(1, 2, 3, 4)) == 2
    assert best_version(4, links, among=days(1, 3, 4)) == 3
    assert best_version(2, links, among=days(1, 2)) is None


def test_one_direct_pair_counts_more_than_a_way_round():
    links = [link(2, 1, 0.9), link(3, 2, 1.05), link(3, 1, 1.01)]
    # round by 2, version 1 would look worse than 3
    assert best_version(3, links, among=days(1, 3)) == 1


def test_a_version_that_no_pairs_join_to_the_champion_is_left_out():
    assert best_version(4, [link(2, 1, 0.5), link(4, 3, 1.1)], among=days(1, 2, 3, 4)) == 3


def test_a_version_as_good_as_the_champion_is_not_asked_for_besides():
    assert best_version(2, [link(2, 1, 1.0)], among=days(1, 2)) is None


def test_the_champion_itself_may_be_too_old_to_be_among_them():
    assert best_version(1, [link(2, 1, 0.9)], among=days(2)) == 2
    assert best_version(1, [link(2, 1, 1.1)], among=days(2)) is None
    assert best_version(1, [], among={}) is None


def test_links_are_read_from_what_the_decision_says_and_only_where_both_losses_are_known():
    report = {
        "compared": {
            "champion": {"version_id": 7, "log_loss": 0.2, "old_log_loss": 0.4},
            "best_recent": {"version_id": 3, "log_loss": 0.2, "old_log_loss": None},
        }
    }
    assert links_of(8, report) == [Link(8, 7, math.log(0.5))]
    assert links_of(8, {}) == []
