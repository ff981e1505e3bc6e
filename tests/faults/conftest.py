"""The stack of all tests of faults: Airflow, several accounts, two databases; and the tests that run together."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults.installation import Grown, Yard, running_yard
from tests.faults.together import Together

PORTFOLIOS = {
    "orchard": Grown(),
    "overdue": Grown(change="without_grace"),
    "doomed": Grown(),
    "crowded_out": Grown(models=("apples",), change="without_place"),
    "row": Grown(models=("apples", "pears", "plums")),
    "crowd": Grown(models=tuple(f"tree_{number:02}" for number in range(50))),
    "throttled": Grown(aws="aws_throttled", change="as_it_is"),
    "stalled": Grown(aws="aws_stalled", change="as_it_is"),
    "crashed": Grown(aws="aws_crashed", change="as_it_is"),
    "unrecorded": Grown(app_db="app_mortal", change="as_it_is"),
}


@pytest.fixture(scope="session", autouse=True)
def asked_for(pytestconfig: pytest.Config) -> None:
    if not pytestconfig.getoption("--faults"):
        pytest.skip("a quarter of an hour: `make test-faults`")


@pytest.fixture(scope="session")
def yard(asked_for: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yard]:
    with running_yard(tmp_path_factory.mktemp("faults"), PORTFOLIOS) as running:
        yield running


@pytest.fixture(scope="session")
def together(yard: Yard, request: pytest.FixtureRequest) -> Together:
    """The chosen tests under ``at_once``, begun."""
    tests = [getattr(item, "obj", None) for item in request.session.items]
    begun = Together()
    begun.begin(yard, [test.scenario for test in tests if hasattr(test, "scenario")])
    return begun


@pytest.fixture
def yard_alone(yard: Yard, together: Together) -> Yard:
    """The stack once nothing else runs on it: for faults that hit all of it."""
    together.wait_until_over()
    return yard
