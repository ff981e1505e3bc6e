"""AWS as its clients see it: the same running local_aws as in the tests of local_aws itself."""

from __future__ import annotations

from pathlib import Path

import pyspark
import pytest

from tests.local_aws.conftest import aws, bucket

__all__ = ["aws", "bucket"]


@pytest.fixture(scope="session", autouse=True)
def asked_for(pytestconfig: pytest.Config) -> None:
    if not pytestconfig.getoption("--aws-clients"):
        pytest.skip("slow, and in need of environments of its own: `make test-aws-clients`")


@pytest.fixture
def pi() -> str:
    """Spark's own example program."""
    return (Path(pyspark.__file__).parent / "examples/src/main/python/pi.py").read_text()
