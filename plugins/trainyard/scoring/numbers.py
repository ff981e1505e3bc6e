"""Fields of an artifact as arrays, each found to be what it must be."""

from __future__ import annotations

from typing import Any

import numpy as np


class ArtifactError(ValueError):
    """An artifact that cannot score; the text names field, value and what is expected."""


def mapping(document: dict[str, Any], name: str, where: str) -> dict[str, Any]:
    """The object at a field."""
    value = document.get(name)
    if not isinstance(value, dict):
        raise ArtifactError(f"{where}.{name} is {_shown(value)}; expected an object")
    return value


def finite(document: dict[str, Any], name: str, where: str) -> Any:
    """The array of finite numbers at a field."""
    values = _array(document, name, where)
    # true is a number to numpy, and text turns into one
    if values.dtype.kind not in "iuf" or not np.isfinite(values).all():
        raise ArtifactError(f"{where}.{name} holds what is no finite number")
    return values.astype(np.float64, copy=False)


def whole(document: dict[str, Any], name: str, where: str) -> Any:
    """The array of whole numbers at a field."""
    values = _array(document, name, where)
    if values.dtype.kind not in "iu":
        raise ArtifactError(f"{where}.{name} holds what is no whole number")
    return values.astype(np.int64, copy=False)


def _array(document: dict[str, Any], name: str, where: str) -> Any:
    value = document.get(name)
    if not isinstance(value, list | np.ndarray):
        raise ArtifactError(f"{where}.{name} is {_shown(value)}; expected a list of numbers")
    if len(value) == 0:
        return np.empty(0, dtype=np.int64)
    try:
        values = np.asarray(value)
    except (ValueError, OverflowError):
        raise ArtifactError(f"{where}.{name} is no plain list of numbers") from None
    if values.ndim != 1:
        raise ArtifactError(f"{where}.{name} is no plain list of numbers")
    return values


def _shown(value: object) -> str:
    return f"{value!r:.80}"
