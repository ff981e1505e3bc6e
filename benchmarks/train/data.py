"""Rows as an advertiser's are: 40 categorical fields of 500 values each, one-hot, a few values of each very common.

Seeded by chunk, so that the rows of a smaller set are the first of a larger one and every machine has the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

BUILD = Path(__file__).parents[2] / "build" / "bench"
FIELDS = 40
VALUES_OF_A_FIELD = 500
NUM_FEATURES = FIELDS * VALUES_OF_A_FIELD
ROWS_IN_A_CHUNK = 50_000
SEED = 20_260
# value v of a field is drawn as floor(500 u^8): nearly half of all rows have a field's first value
SKEW = 8
WEIGHT_DEVIATION = 0.65
INTERCEPT = -2.0
# added to the seed of a chunk: no row of one split is drawn like one of another
SPLITS = {"train": 0, "test": 1_000_000, "validation": 2_000_000}


@dataclass(frozen=True)
class DataFiles:
    """LibSVM text, one file a split."""

    train: Path
    validation: Path
    test: Path

    @property
    def held_out(self) -> tuple[Path, Path]:
        """What a peer that chooses nothing on validation tests on: every contestant reads every row."""
        return self.validation, self.test


def write_data(folder: Path, *, train_rows: int, validation_rows: int, test_rows: int) -> DataFiles:
    """The files of this many rows, written unless they are there."""
    folder.mkdir(parents=True, exist_ok=True)
    rows_of = {"train": train_rows, "validation": validation_rows, "test": test_rows}
    paths = {split: folder / f"{split}-{rows}.libsvm" for split, rows in rows_of.items()}
    for split, path in paths.items():
        if not path.exists():
            _write_split(path, split=split, rows=rows_of[split])
    return DataFiles(**paths)


def draw_rows(split: str, chunk: int, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Labels (rows,) of 0 and 1, and feature indices (rows, 40) from 0, ascending within a row."""
    random = np.random.default_rng([SEED, SPLITS[split] + chunk])
    values = (VALUES_OF_A_FIELD * random.random((rows, FIELDS)) ** SKEW).astype(np.int64)
    # common values of all fields have the small indices, as where features are numbered by frequency
    indices = np.sort(values * FIELDS + np.arange(FIELDS), axis=1)
    logits = INTERCEPT + true_weights()[indices].sum(axis=1)
    labels = (random.random(rows) < 1 / (1 + np.exp(-logits))).astype(np.int64)
    return labels, indices


def true_weights() -> np.ndarray:
    return np.random.default_rng(SEED).normal(0, WEIGHT_DEVIATION, NUM_FEATURES)


def _write_split(path: Path, *, split: str, rows: int) -> None:
    tokens = [f" {index + 1}:1" for index in range(NUM_FEATURES)]
    unfinished = path.with_suffix(".part")
    with unfinished.open("w", encoding="ascii") as out:
        for chunk, start in enumerate(range(0, rows, ROWS_IN_A_CHUNK)):
            labels, indices = draw_rows(split, chunk, ROWS_IN_A_CHUNK)
            kept = min(ROWS_IN_A_CHUNK, rows - start)
            lines = zip(labels[:kept].tolist(), indices[:kept].tolist(), strict=True)
            out.writelines(f"{label}{''.join([tokens[index] for index in row])}\n" for label, row in lines)
    unfinished.rename(path)
