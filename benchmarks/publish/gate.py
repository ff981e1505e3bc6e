"""How often the gate is right: an equally good challenger must serve, one that is 1% worse must not.

Each seed is a night in a world of its own (``worlds``). The champion, the best version of the last 30 days and the
challenger are learned from different rows of that world; all are scored on the same test rows, as the job does it, and
trainyard's own gate decides by the intervals of the paired differences. Then the challenger is made worse until its
expected log loss, under the true probabilities, is 1% above the champion's, in one of the ways that models get worse,
and the gate decides again.

Run as ``python -m benchmarks.publish.gate``, also by ``make bench-publish``; the figures are added to
``build/bench/publish.json``.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.figures import Figure, report
from benchmarks.publish.worlds import (
    FEATURES,
    Array,
    draw_features,
    draw_labels,
    expected_log_loss,
    learn,
    log_loss,
    make_world,
    probability,
    worsen,
)
from trainyard.portfolio import Gate
from trainyard.publishing.formats import Metrics, Request
from trainyard.publishing.gate import verdict, weigh

BASE_RATES = (0.05, 0.1, 0.2, 0.4)
TRAIN_ROWS = 100_000
TEST_ROWS = 50_000
REGRESSION = 0.01
GOAL = 0.95
TABLE_ROWS = (5_000, 10_000, 20_000, 50_000, 100_000, 200_000)
TABLE_MARGINS = (0.002, 0.003, 0.005, 0.008, 0.01)
# two-sided 95%, as the job's intervals
_LEVEL, _Z = 0.95, 1.959963984540054


@dataclass(frozen=True)
class Night:
    """Log-odds of test rows by model, and what came of the rows.

    :param regressions: by kind, the challenger made 1% worse than the champion in expectation
    """

    truth: Array
    labels: Array
    champion: Array
    best_recent: Array
    challenger: Array
    regressions: dict[str, Array]


def make_night(seed: int, *, test_rows: int, train_rows: int = TRAIN_ROWS) -> Night:
    """The night of a seed; the seed's number decides the base rate as well."""
    rng = np.random.default_rng(seed)
    world = make_world(rng, base_rate=BASE_RATES[seed % len(BASE_RATES)])
    models = [learn(rng, world, rows=train_rows) for _ in range(3)]
    features = draw_features(rng, world, rows=test_rows)
    truth = probability(features @ world.theta)
    champion, best_recent, challenger = (features @ model for model in models)
    target = (1 + REGRESSION) * expected_log_loss(truth, champion)
    regressions = {
        kind: worsen(challenger, direction, truth=truth, target=target)
        for kind, direction in _directions(rng, features, challenger, models[2])
    }
    return Night(truth, draw_labels(rng, truth), champion, best_recent, challenger, regressions)


def _directions(
    rng: np.random.Generator, features: Array, challenger: Array, model: Array
) -> Iterator[tuple[str, Array]]:
    """Ways to get worse, as changes of the log-odds."""
    noise = rng.normal(0, 1, 1 + FEATURES) / np.sqrt((features.astype(np.float64) ** 2).mean(axis=0))
    yield "noisy coefficients", features @ noise
    # what the strongest features told goes missing, its mean excepted
    strongest = np.argsort(-np.abs(model) * features.std(axis=0))[:3]
    told = features[:, strongest] @ model[strongest]
    yield "lost features", told.mean() - told
    yield "too many yes", np.ones(len(challenger))
    yield "too sure", challenger - challenger.mean()


def measure_challenger(night: Night, challenger: Array, *, rows: int) -> Metrics:
    """What the job would find of a challenger on the first ``rows`` test rows."""
    labels = night.labels[:rows]
    new = log_loss(labels, challenger[:rows])
    comparisons = {
        name: _comparison(new, log_loss(labels, old[:rows]))
        for name, old in (("champion", night.champion), ("best_recent", night.best_recent))
    }
    return Metrics.model_validate(
        {
            "metrics": {
                "test": {"rows": rows, "positives": int(labels.sum()), "log_loss": float(new.mean())}
            },
            "comparisons": comparisons,
            "threshold": 0.5,
        }
    )


def passes(gate: Gate, metrics: Metrics) -> bool:
    """Whether the gate lets the challenger serve."""
    return verdict(gate, weigh(gate, metrics=metrics, request=_REQUEST)).passes


def _comparison(new: Array, old: Array) -> dict[str, Any]:
    """As metrics.json has it: the mean of the paired differences, with its interval."""
    difference = new - old
    value = float(difference.mean())
    error = float(difference.std(ddof=1)) / len(difference) ** 0.5
    interval = {
        "value": value,
        "standard_error": error,
        "low": value - _Z * error,
        "high": value + _Z * error,
    }
    return {
        **_OLD_VERSION,
        "metrics": {"log_loss": float(old.mean())},
        "differences": {"log_loss": {**interval, "level": _LEVEL, "rows": len(difference)}},
    }


_OLD_VERSION = {"version_id": 1, "training_id": "0" * 16, "attempt": 1, "data_date": "2026-11-22"}
_REQUEST = Request.model_validate(
    {
        "num_features": FEATURES,
        "feature_space": "made up",
        "lineage": {},
        "champion": {"version_id": 1},
        "best_recent": {"version_id": 1},
    }
)


@dataclass(frozen=True)
class Shares:
    """How often the gate was right."""

    equal_activated: float
    regressions_held_back: dict[str, float]

    @property
    def worst_held_back(self) -> float:
        """Of the kind of regression that slips through most often."""
        return min(self.regressions_held_back.values())


def decide(gates: Sequence[Gate], night: Night, *, rows: int) -> list[Shares]:
    """Each gate's decisions of one night, as shares of one."""
    equal = measure_challenger(night, night.challenger, rows=rows)
    worse = {kind: measure_challenger(night, each, rows=rows) for kind, each in night.regressions.items()}
    return [
        Shares(
            float(passes(gate, equal)), {kind: float(not passes(gate, each)) for kind, each in worse.items()}
        )
        for gate in gates
    ]


def mean_shares(parts: Sequence[Shares]) -> Shares:
    """Over equally many nights each."""
    kinds = parts[0].regressions_held_back
    return Shares(
        float(np.mean([part.equal_activated for part in parts])),
        {kind: float(np.mean([part.regressions_held_back[kind] for part in parts])) for kind in kinds},
    )


def measure(seeds: Sequence[int]) -> Shares:
    """The default gate on as many nights as seeds, one night in memory at a time."""
    nights = (make_night(seed, test_rows=TEST_ROWS) for seed in seeds)
    return mean_shares([decide([Gate()], night, rows=TEST_ROWS)[0] for night in nights])


def power_table(seeds: int) -> dict[tuple[int, float], Shares]:
    """By test rows and margin; the rows of a smaller test set are the first ones of the largest."""
    gates = [Gate(margin=margin) for margin in TABLE_MARGINS]
    cells: dict[tuple[int, float], list[Shares]] = {}
    for seed in range(seeds):
        night = make_night(seed, test_rows=max(TABLE_ROWS))
        for rows in TABLE_ROWS:
            for margin, shares in zip(TABLE_MARGINS, decide(gates, night, rows=rows), strict=True):
                cells.setdefault((rows, margin), []).append(shares)
    return {cell: mean_shares(parts) for cell, parts in cells.items()}


def figures(seeds: Sequence[int]) -> dict[str, Figure]:
    """What ``make bench-publish`` reports of the gate, against its goals."""
    shares = measure(seeds)
    held_back = {"": shares.worst_held_back} | shares.regressions_held_back
    return {
        "gate_equal_challenger_activated": Figure(shares.equal_activated, GOAL, "higher"),
        **{
            f"gate_regression_held_back_{kind.replace(' ', '_')}".rstrip("_"): Figure(share, GOAL, "higher")
            for kind, share in held_back.items()
        },
    }


def print_table(table: dict[tuple[int, float], Shares]) -> None:
    """Markdown for docs/gate.md: of 100 nights, equal challengers activated / regressions held back."""
    _say("| test rows |" + "".join(f" margin {100 * margin:g}% |" for margin in TABLE_MARGINS))
    _say("|---|" + "---|" * len(TABLE_MARGINS))
    for rows in TABLE_ROWS:
        cells = (table[rows, margin] for margin in TABLE_MARGINS)
        told = (f" {100 * cell.equal_activated:.0f} / {100 * cell.worst_held_back:.0f} |" for cell in cells)
        _say(f"| {rows:,} |" + "".join(told))


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")


def main() -> None:
    """Measure, print, and write the report."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=1000, help="nights to decide")
    parser.add_argument("--first-seed", type=int, default=0, help="number of the first night")
    parser.add_argument("--table-seeds", type=int, default=0, help="nights for each cell of the power table")
    arguments = parser.parse_args()
    begun = time.monotonic()
    first = arguments.first_seed
    found = figures(range(first, first + arguments.seeds))
    status = report("publish", found)
    if arguments.table_seeds:
        print_table(power_table(arguments.table_seeds))
    _say(f"{arguments.seeds} seeds in {time.monotonic() - begun:.0f} s")
    sys.exit(status)


if __name__ == "__main__":
    main()
