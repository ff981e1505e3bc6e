"""Linear models: intercept + coefficients · features."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from trainyard.scoring.numbers import ArtifactError, finite, mapping, whole
from trainyard.scoring.rows import Rows


@dataclass(frozen=True)
class LinearModel:
    """
    :param coefficients: array (features)
    """

    intercept: float
    coefficients: Any

    def margins(self, rows: Rows) -> Any:
        """Array (rows)."""
        products = rows.values * self.coefficients[rows.indices]
        return self.intercept + np.bincount(rows.row_of_each_value(), weights=products, minlength=len(rows))


def linear_model(parameters: dict[str, Any], num_features: int) -> LinearModel:
    """The model of an artifact's parameters; raises ArtifactError."""
    sparse = mapping(parameters, "coefficients", "parameters")
    indices = whole(sparse, "indices", "parameters.coefficients")
    values = finite(sparse, "values", "parameters.coefficients")
    if len(indices) != len(values):
        raise ArtifactError(f"parameters.coefficients: {len(indices)} indices for {len(values)} values")
    if len(indices) and not (indices.min() >= 0 and indices.max() < num_features):
        raise ArtifactError(
            f"parameters.coefficients: indices reach from {indices.min()} to {indices.max()}; "
            f"accepted are 0 to {num_features - 1}"
        )
    # a set or a sort of ten million would take more memory than the model
    present = np.zeros(num_features, dtype=bool)
    present[indices] = True
    if np.count_nonzero(present) != len(indices):
        raise ArtifactError("parameters.coefficients: an index stands twice")
    coefficients = np.zeros(num_features)
    coefficients[indices] = values
    (intercept,) = finite({"intercept": [parameters.get("intercept")]}, "intercept", "parameters")
    return LinearModel(float(intercept), coefficients)
