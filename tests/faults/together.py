"""Faults that hit one model, one run or one account only are tried all at once; each is a test of its own.

A test under ``at_once`` is begun, in a thread of its own, with the first of them; when its turn comes, its result is
waited for.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, wait
from dataclasses import dataclass, field
from threading import Semaphore, Thread

import pytest

from tests.faults.installation import Yard

Scenario = Callable[[Yard], None]
TIMEOUT_SECONDS = 900
# each has workers at work and workers that wait; more of them would only wait for the machine
AT_ONCE = 10


def at_once(scenario: Scenario) -> Callable[[Together], None]:
    """The test that waits for the result of ``scenario``."""

    def test(together: Together) -> None:
        together.futures[scenario].result(TIMEOUT_SECONDS)

    test.__name__, test.__doc__, test.__module__ = scenario.__name__, scenario.__doc__, scenario.__module__
    test.scenario = scenario  # type: ignore[attr-defined]
    return pytest.mark.timeout(TIMEOUT_SECONDS)(test)


@dataclass
class Together:
    """The scenarios that were begun together."""

    futures: dict[Scenario, Future[None]] = field(default_factory=dict)

    def begin(self, yard: Yard, scenarios: list[Scenario]) -> None:
        turns = Semaphore(AT_ONCE)
        for scenario in scenarios:
            future = self.futures[scenario] = Future()
            # not a pool's: one that hangs must not keep the process from ending
            Thread(target=_run, args=(scenario, yard, future, turns), daemon=True).start()

    def wait_until_over(self) -> None:
        wait(self.futures.values(), timeout=TIMEOUT_SECONDS)


def _run(scenario: Scenario, yard: Yard, future: Future[None], turns: Semaphore) -> None:
    with turns:
        try:
            scenario(yard)
        except BaseException as error:  # noqa: BLE001 - it is the test's, which raises it
            future.set_exception(error)
        else:
            future.set_result(None)
