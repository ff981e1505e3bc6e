"""Ensembles of decision trees: all rows go down all trees at once, one level at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from trainyard.scoring.numbers import ArtifactError, finite, mapping, whole
from trainyard.scoring.rows import Rows

LEAF = -1
# cells of the array (rows, features that trees ask for) or (rows, trees) that is worked on at a time
CELLS = 4_000_000


@dataclass(frozen=True)
class Trees:
    """Arrays over the nodes of all trees; a child stands behind its parent.

    :param roots: the first node of each tree
    :param features: which of ``asked`` a node asks for; LEAF for a leaf
    :param thresholds: at most this goes left
    :param values: of the leaves
    :param asked: the features that any tree asks for, ascending
    """

    roots: Any
    features: Any
    thresholds: Any
    lefts: Any
    rights: Any
    values: Any
    asked: Any

    def leaves(self, rows: Rows) -> Any:
        """Array (rows, trees): the value of the leaf that each row comes to in each tree."""
        step = max(1, CELLS // max(len(self.asked), len(self.roots), 1))
        parts = [
            self._leaves(rows.part(first, min(first + step, len(rows))))
            for first in range(0, len(rows), step)
        ]
        return np.concatenate(parts) if parts else np.empty((0, len(self.roots)))

    def _leaves(self, rows: Rows) -> Any:
        features = self._asked_for(rows)
        found = np.empty(len(rows) * len(self.roots))
        cell = np.arange(len(found))
        row, node = np.divmod(cell, len(self.roots))
        node = self.roots[node]
        while len(cell):
            feature = self.features[node]
            at_leaf = feature == LEAF
            found[cell[at_leaf]] = self.values[node[at_leaf]]
            going = ~at_leaf
            cell, row, node, feature = cell[going], row[going], node[going], feature[going]
            left = features[row, feature] <= self.thresholds[node]
            node = np.where(left, self.lefts[node], self.rights[node])
        return found.reshape(len(rows), len(self.roots))

    def _asked_for(self, rows: Rows) -> Any:
        """Array (rows, asked features)."""
        dense = np.zeros((len(rows), len(self.asked)))
        if len(self.asked):
            column = np.minimum(np.searchsorted(self.asked, rows.indices), len(self.asked) - 1)
            known = self.asked[column] == rows.indices
            dense[rows.row_of_each_value()[known], column[known]] = rows.values[known]
        return dense


@dataclass(frozen=True)
class Forest:
    """A random forest: the mean of its trees' shares of class 1."""

    trees: Trees

    def scores(self, rows: Rows) -> Any:
        """Array (rows)."""
        return self.trees.leaves(rows).mean(axis=1)


@dataclass(frozen=True)
class BoostedTrees:
    """Gradient-boosted trees, learned on log loss."""

    trees: Trees
    weights: Any

    def margins(self, rows: Rows) -> Any:
        """Array (rows): the trees' sum, half the log-odds."""
        return self.trees.leaves(rows) @ self.weights


def forest(parameters: dict[str, Any], num_features: int) -> Forest:
    """The model of an artifact's parameters; raises ArtifactError."""
    return Forest(_trees(parameters, num_features))


def boosted_trees(parameters: dict[str, Any], num_features: int) -> BoostedTrees:
    """The model of an artifact's parameters; raises ArtifactError."""
    trees, weights = _trees(parameters, num_features), finite(parameters, "weights", "parameters")
    if len(weights) != len(trees.roots):
        raise ArtifactError(f"parameters.weights: {len(weights)} of them for {len(trees.roots)} trees")
    return BoostedTrees(trees, weights)


def _trees(parameters: dict[str, Any], num_features: int) -> Trees:
    where, document = "parameters.trees", mapping(parameters, "trees", "parameters")
    arrays = {name: whole(document, name, where) for name in ("roots", "features", "lefts", "rights")}
    arrays |= {name: finite(document, name, where) for name in ("thresholds", "values")}
    roots, features = arrays["roots"], arrays["features"]
    nodes = len(features)
    for name in ("thresholds", "lefts", "rights", "values"):
        if len(arrays[name]) != nodes:
            raise ArtifactError(f"{where}: {len(arrays[name])} {name} for {nodes} features")
    if not (len(roots) and roots.min() >= 0 and roots.max() < nodes):
        raise ArtifactError(f"{where}.roots must be at least one node, from 0 to {nodes - 1}")
    if features.min() < LEAF or features.max() >= num_features:
        raise ArtifactError(f"{where}.features must lie from 0 to {num_features - 1}, or be -1 for a leaf")
    _check_children(arrays, where)
    asked = np.unique(features[features != LEAF])
    arrays["features"] = np.where(features == LEAF, LEAF, np.searchsorted(asked, features))
    return Trees(asked=asked, **arrays)


def _check_children(arrays: dict[str, Any], where: str) -> None:
    """A child that does not stand behind its parent could lead round in a circle."""
    inner = np.flatnonzero(arrays["features"] != LEAF)
    for name in ("lefts", "rights"):
        children = arrays[name][inner]
        wrong = (children <= inner) | (children >= len(arrays["features"]))
        if wrong.any():
            raise ArtifactError(f"{where}.{name}: the child of node {inner[wrong][0]} must stand behind it")
