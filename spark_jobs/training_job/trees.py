"""Ensembles of decision trees: random forests and gradient-boosted trees.

Their nodes are read from the model as MLlib saved it: walking the JVM's trees takes several calls over the bridge for
each node, minutes for a large forest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from pyspark.sql import SparkSession

from training_job.failures import JobError
from training_job.fitting import Fit

if TYPE_CHECKING:
    from pyspark.sql import Row

LEAF = -1


def trees_fit(_estimator: Any, _model: Any) -> Fit:
    """Trees are grown, not iterated towards an optimum: there is nothing to tell."""
    return Fit()


def forest_parameters(_model: Any, folder: str) -> dict[str, Any]:
    """Score: mean over the trees of the leaf's share of class 1, as RandomForestClassificationModel votes."""
    return {"trees": _trees(folder, _share_of_positives)}


def boosted_parameters(model: Any, folder: str) -> dict[str, Any]:
    """Score: 1 / (1 + exp(-2 m)), m the sum over the trees of weight times the leaf's value (log loss)."""
    return {
        "trees": _trees(folder, lambda node: node.prediction),
        "weights": [float(weight) for weight in model.treeWeights],
    }


def _share_of_positives(node: Row) -> float:
    negatives, positives = node.impurityStats
    return float(positives / (negatives + positives))


def _trees(folder: str, leaf_value: Callable[[Row], float]) -> dict[str, list[Any]]:
    """All trees in flat arrays over their nodes; a child is named by its place in them.

    A node with a feature goes left where the feature's value is at most the threshold; one without (-1) is a leaf.
    ``roots`` holds each tree's first node.
    """
    saved = SparkSession.builder.getOrCreate().read.parquet(f"{folder}/data")
    # arrays cross over, not rows: a deep forest has millions of nodes
    packed = saved.rdd.mapPartitions(lambda rows: [_packed(rows, leaf_value)]).collect()
    nodes = np.concatenate(packed)
    _, place, feature, threshold, left, right, value = nodes[np.lexsort((nodes[:, 1], nodes[:, 0]))].T
    if not np.isfinite(value).all():
        raise JobError("learning_diverged", "a tree's leaf holds a value that is no finite number")
    roots = np.flatnonzero(place == 0)
    first = roots[np.cumsum(place == 0) - 1]
    inner = feature != LEAF
    return {
        "roots": roots.tolist(),
        "features": feature.astype(np.int64).tolist(),
        "thresholds": threshold.tolist(),
        "lefts": np.where(inner, first + left, LEAF).astype(np.int64).tolist(),
        "rights": np.where(inner, first + right, LEAF).astype(np.int64).tolist(),
        "values": value.tolist(),
    }


def _packed(rows: Iterable[Row], leaf_value: Callable[[Row], float]) -> Any:
    """Array (n, 7) of tree, place in the tree, feature, threshold, left, right, value."""
    nodes = list(_nodes(rows, leaf_value))
    return np.array(nodes, dtype=np.float64).reshape(len(nodes), 7)


def _nodes(rows: Iterable[Row], leaf_value: Callable[[Row], float]) -> Iterator[tuple[float, ...]]:
    for row in rows:
        node = row.nodeData
        if node.leftChild == LEAF:
            yield (row.treeID, node.id, LEAF, 0.0, LEAF, LEAF, leaf_value(node))
            continue
        if node.split.numCategories != LEAF:
            # a column without metadata has none, so that this is no case of ours
            raise ValueError("a split by categories; only splits by a threshold can be written")
        (threshold,) = node.split.leftCategoriesOrThreshold
        feature = node.split.featureIndex
        yield (row.treeID, node.id, feature, threshold, node.leftChild, node.rightChild, 0.0)
