"""The job's source runs on the oldest Python of an EMR 7 cluster, 3.9."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

JOB_FOLDER = Path(__file__).parents[2] / "spark_jobs"
SOURCES = sorted(JOB_FOLDER.rglob("*.py"))
ALLOWED = {"pyspark", "py4j", "numpy", "training_job"}


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.relative_to(JOB_FOLDER).as_posix())
def test_source_is_python_39(source: Path) -> None:
    ast.parse(source.read_text(), filename=str(source), feature_version=(3, 9))


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.relative_to(JOB_FOLDER).as_posix())
def test_cluster_needs_nothing_but_spark_and_numpy(source: Path) -> None:
    for node in ast.walk(ast.parse(source.read_text())):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module]
        for name in names:
            assert name.partition(".")[0] in ALLOWED | sys.stdlib_module_names, (
                f"{source.name} imports {name}"
            )


def test_job_has_sources() -> None:
    assert len(SOURCES) > 10
