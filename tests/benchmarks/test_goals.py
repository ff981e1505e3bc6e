"""A benchmark that misses a goal says so by its exit code, and its report holds every figure that was asked for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import figures
from benchmarks.figures import Figure, report


@pytest.mark.parametrize(
    ("figure", "missed"),
    [
        (Figure(99.9, 100), False),
        (Figure(100.1, 100), True),
        (Figure(999, 1000, "higher"), True),
        (Figure(1000, 1000, "higher"), False),
        (Figure(1, 0), True),
        (Figure(1e9), False),
    ],
)
def test_only_a_figure_with_a_goal_can_miss_it(figure: Figure, missed: bool) -> None:
    assert figure.missed is missed


def test_parts_of_a_benchmark_share_a_report_of_the_figures_with_goals(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(figures, "REPORTS", tmp_path)
    assert report("some", {"ratio": Figure(0.41234, 0.45), "took, s": Figure(3)}) == 0
    assert report("some", {"rows": Figure(2000, 2500, "higher")}) == 1
    assert json.loads((tmp_path / "some.json").read_text()) == {
        "ratio": {"value": 0.41234, "goal": 0.45, "better": "lower"},
        "rows": {"value": 2000, "goal": 2500, "better": "higher"},
    }
    told = capsys.readouterr().out
    assert "0.4123  at most 0.45\n" in told
    assert "2,000  at least 2,500, missed\n" in told
