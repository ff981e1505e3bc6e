"""Rows of features, sparse: from LibSVM text or from an array."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

# as the training job has them: int() and float() would take 1_0, and digits of other scripts
_INDEX = re.compile(r"\+?[0-9]{1,10}")
_NUMBER = re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?(?:nan|inf|infinity)", re.IGNORECASE)
_GROUP = re.compile(r"qid:[^:]+")


class RowsError(ValueError):
    """Rows that a model cannot score; the text names the line, and never quotes the data."""


@dataclass(frozen=True)
class Rows:
    """Rows of ``num_features`` features; what is not there is 0.

    :param starts: array (rows + 1) of where each row begins in ``indices`` and ``values``
    :param indices: of the features, from 0, ascending within a row
    :param values: of the features
    """

    starts: Any
    indices: Any
    values: Any
    num_features: int

    def __len__(self) -> int:
        return len(self.starts) - 1

    def part(self, first: int, last: int) -> Rows:
        """The rows from ``first`` up to ``last``, not included."""
        begin, end = self.starts[first], self.starts[last]
        return Rows(
            starts=self.starts[first : last + 1] - begin,
            indices=self.indices[begin:end],
            values=self.values[begin:end],
            num_features=self.num_features,
        )

    def row_of_each_value(self) -> Any:
        """For each of ``values``, the number of its row."""
        return np.repeat(np.arange(len(self)), np.diff(self.starts))


def dense_rows(features: Any) -> Rows:
    """Rows of an array (rows, features).

    :raises RowsError: the array has no two dimensions, or holds what is no finite number
    """
    features = np.asarray(features, dtype=np.float64)
    if features.ndim != 2:
        raise RowsError(f"an array of {features.ndim} dimensions; expected (rows, features)")
    if not np.isfinite(features).all():
        raise RowsError("the array holds a value that is no finite number")
    in_row, indices = np.nonzero(features)
    starts = np.concatenate([[0], np.cumsum(np.bincount(in_row, minlength=len(features)))])
    return Rows(starts.astype(np.int64), indices, features[in_row, indices], features.shape[1])


def libsvm_rows(lines: Iterable[str], *, num_features: int, first_line: int = 1) -> Rows:
    """Rows of LibSVM text: ``<label> [qid:<group>] <index>:<value> …``, indices from 1, ascending.

    The label may be missing, since who asks for a score seldom knows it; it is not looked at, nor is the group. Blank
    lines and what follows a ``#`` are skipped.

    :param first_line: number of the first of the lines, for errors
    :raises RowsError: names the line
    """
    starts, indices, values = [0], [], []
    for number, line in enumerate(lines, start=first_line):
        tokens = line.partition("#")[0].split()
        if not tokens:
            continue
        if ":" not in tokens[0]:
            del tokens[0]
        if tokens and _GROUP.fullmatch(tokens[0]):
            del tokens[0]
        previous = 0
        for token in tokens:
            index, value = _feature(token, number)
            if index <= previous:
                raise RowsError(f"line {number}: index {index} after {previous}; indices ascend from 1")
            if index > num_features:
                raise RowsError(f"line {number}: index {index}; the model has {num_features} features")
            indices.append(index - 1)
            values.append(value)
            previous = index
        starts.append(len(indices))
    return Rows(
        np.array(starts, dtype=np.int64), np.array(indices, dtype=np.int64), np.array(values), num_features
    )


def _feature(token: str, number: int) -> tuple[int, float]:
    index, colon, value = token.partition(":")
    is_number = _NUMBER.fullmatch(value)
    if not (colon and _INDEX.fullmatch(index) and (is_number or _NOT_FINITE.fullmatch(value))):
        raise RowsError(f"line {number}: expected '<label> <index>:<value> …'")
    if not (is_number and math.isfinite(float(value))):
        raise RowsError(f"line {number}: the value of feature {index} is no finite number")
    return int(index), float(value)
