"""A benchmark that misses a goal says so by its exit code."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.local_aws.__main__ import misses


@pytest.mark.parametrize(
    ("figure", "missed"),
    [
        ({"value": 99.9, "goal": 100, "better": "lower"}, False),
        ({"value": 100.1, "goal": 100, "better": "lower"}, True),
        ({"value": 999, "goal": 1000, "better": "higher"}, True),
        ({"value": 1000, "goal": 1000, "better": "higher"}, False),
        ({"value": 1, "goal": 0, "better": "lower"}, True),
        ({"value": 1e9, "goal": None, "better": "lower"}, False),
    ],
)
def test_only_a_figure_with_a_goal_can_miss_it(figure: dict[str, Any], missed: bool) -> None:
    assert misses(figure) is missed
