"""Sessions of a made-up online travel shop, drawn from a known truth: in a shop's description, out LibSVM text.

A session has one category of each group: its destination, device, channel and so on. The first category of a group is
what goes without saying; every other one is a feature, 1 or absent. Whether the visitor books is drawn with the
probability that the true coefficients give, so that the best AUC any model can reach on the test rows is known.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

SPLITS = ("train", "test")
SESSIONS_TO_SET_BASE_RATE = 100_000


@dataclass(frozen=True)
class Group:
    """Categories of which a session has one.

    :param trend: log odds of booking of the last category over the first, the others evenly in between
    :param spread: standard deviation of each category's own effect on the log odds
    :param skew: a category is had by sessions in proportion to 1 / position ** skew; 0 makes all equal
    """

    name: str
    categories: tuple[str, ...]
    trend: float = 0.0
    spread: float = 0.0
    skew: float = 0.0


@dataclass(frozen=True)
class Shop:
    """What is sold, and how well.

    :param base_rate: share of the sessions that end in a booking
    :param seed: of the truth and of the sessions
    :param rows: sessions of each split; the splits are draws of their own
    """

    groups: tuple[Group, ...]
    base_rate: float
    seed: int
    rows: Mapping[str, int]

    @property
    def feature_names(self) -> tuple[str, ...]:
        """The name of LibSVM index i stands at position i - 1."""
        return tuple(f"{group.name}={category}" for group in self.groups for category in group.categories[1:])


@dataclass(frozen=True)
class Truth:
    """Log odds of booking: the intercept plus one effect for each group.

    :param effects: of every category, group after group; 0 for a group's first
    """

    intercept: float
    effects: Floats


@dataclass(frozen=True)
class Sessions:
    """Drawn sessions.

    :param categories: (sessions, groups) of positions in Truth.effects
    :param booked: 1 where the session ended in a booking, else 0
    """

    categories: Integers
    booked: Integers


def truth(shop: Shop) -> Truth:
    """The true effects, and the intercept that gives the shop its base rate."""
    random = np.random.default_rng([shop.seed, len(SPLITS)])
    effects = np.concatenate([_effects(group, random) for group in shop.groups])
    log_odds = effects[_draw_categories(shop, SESSIONS_TO_SET_BASE_RATE, random)].sum(axis=1)
    low, high = -20.0, 20.0
    for _ in range(50):
        intercept = (low + high) / 2
        if probability(log_odds + intercept).mean() > shop.base_rate:
            high = intercept
        else:
            low = intercept
    return Truth(intercept=intercept, effects=effects)


def sessions(shop: Shop, split: str) -> Sessions:
    """The sessions of one split, the same at every call."""
    random = np.random.default_rng([shop.seed, SPLITS.index(split)])
    categories = _draw_categories(shop, shop.rows[split], random)
    booked = random.random(len(categories)) < true_scores(shop, categories)
    return Sessions(categories=categories, booked=booked.astype(np.int64))


def true_scores(shop: Shop, categories: Integers) -> Floats:
    """The true probability that each session ends in a booking."""
    true = truth(shop)
    return probability(true.intercept + true.effects[categories].sum(axis=1))


def libsvm_lines(shop: Shop, drawn: Sessions) -> list[str]:
    """The sessions as LibSVM text, a line each without its end; indices ascend since the groups do."""
    tokens: list[str] = []
    index = 0
    for group in shop.groups:
        tokens.append("")
        for _ in group.categories[1:]:
            index += 1
            tokens.append(f" {index}:1")
    texts = np.array(tokens, dtype=object)[drawn.categories].tolist()
    return [f"{label}{''.join(texts[n])}" for n, label in enumerate(drawn.booked.tolist())]


def probability(log_odds: Floats) -> Floats:
    """The logistic function."""
    return np.asarray(1 / (1 + np.exp(-log_odds)))


def _effects(group: Group, random: np.random.Generator) -> Floats:
    effects = np.linspace(0.0, group.trend, len(group.categories))
    # the first category is the usual case, so the others lie around it
    effects[1:] += random.normal(scale=group.spread, size=len(effects) - 1)
    return effects


def _draw_categories(shop: Shop, count: int, random: np.random.Generator) -> Integers:
    columns: list[Any] = []
    first = 0
    for group in shop.groups:
        weight = 1.0 / np.arange(1, len(group.categories) + 1) ** group.skew
        columns.append(first + random.choice(len(weight), size=count, p=weight / weight.sum()))
        first += len(weight)
    return np.stack(columns, axis=1)
