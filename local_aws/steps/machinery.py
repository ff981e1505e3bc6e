"""Turns the control plane's actions into threads that run and stop steps."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from threading import Lock, Thread
from typing import TypeVar

from local_aws.emr.control_plane import (
    Action,
    BootstrapEnd,
    ControlPlane,
    StartBootstrap,
    StartStep,
    StopCluster,
    StopStep,
)
from local_aws.emr.service import EmrService
from local_aws.emr.step_life import StepEnd
from local_aws.emr.store import ClusterStore
from local_aws.emr.values import ClusterId, Failure, StepId
from local_aws.steps import processes
from local_aws.steps.bootstrap_run import NOT_STARTED, BootstrapRun
from local_aws.steps.machine import Machine
from local_aws.steps.step_run import UNKNOWN_ERROR, StepRun

# a step, or (without one) the bootstrap actions of a cluster
Key = tuple[ClusterId, StepId | None]
Report = Callable[[ControlPlane, datetime], None]
End = TypeVar("End")
LOG = logging.getLogger("local_aws")


@dataclass(frozen=True)
class _Running:
    """:param thread: ends once the end is reported"""

    run: StepRun | BootstrapRun
    thread: Thread

    def stop(self, *, at_once: bool) -> None:
        """Returns when its end is reported. Raises StillRunningError."""
        self.run.stop(at_once=at_once)
        self.thread.join()


class StepMachinery:
    """Actions are performed in the order of the control plane's decisions: `perform` only takes note, starts a
    thread and returns, so that who stops a step finds it, however soon after its start.
    """

    def __init__(self, machine: Machine, store: ClusterStore) -> None:
        self._machine = machine
        self._store = store
        self._lock = Lock()
        self._running: dict[Key, _Running] = {}

    def perform(self, action: Action, service: EmrService) -> None:
        if isinstance(action, StartStep):
            self._start_step(action, service)
        elif isinstance(action, StartBootstrap):
            self._start_bootstrap(action, service)
        elif isinstance(action, StopStep):
            self._in_background(lambda: self._stop_step(action))
        else:
            self._in_background(lambda: self._stop_cluster(action, service))

    def stop_everything(self) -> None:
        """End every process of every step of this root, also those an earlier life left behind."""
        processes.end(
            processes.marker(self._machine.settings.root), grace_seconds=self._machine.settings.grace_seconds
        )

    def _start_step(self, action: StartStep, service: EmrService) -> None:
        cluster, step = action.cluster, action.step
        cluster_id, step_id = cluster.cluster_id, step.step_id
        run = StepRun(self._machine, cluster, step, self._store.step_folder(cluster_id, step_id))

        def work() -> Report:
            end = _end_of(run.run, lambda problem: StepEnd(Failure(UNKNOWN_ERROR, problem)))
            return lambda plane, now: plane.step_ended(cluster_id, step_id, end, now)

        self._start((cluster_id, step_id), run, work, service)

    def _start_bootstrap(self, action: StartBootstrap, service: EmrService) -> None:
        cluster_id = action.cluster.cluster_id
        run = BootstrapRun(self._machine, action.cluster, self._store.bootstrap_folder(cluster_id))

        def work() -> Report:
            end = _end_of(run.run, lambda _: BootstrapEnd(exit_code=NOT_STARTED))
            return lambda plane, now: plane.bootstrap_ended(cluster_id, end, now)

        self._start((cluster_id, None), run, work, service)

    def _start(
        self, key: Key, run: StepRun | BootstrapRun, work: Callable[[], Report], service: EmrService
    ) -> None:
        def work_and_report() -> None:
            try:
                service.change(work())
            finally:
                # only now: who waits for its end waits until the control plane knows of it
                with self._lock:
                    del self._running[key]

        thread = Thread(target=work_and_report, name=f"run-{key[1] or key[0]}", daemon=True)
        with self._lock:
            self._running[key] = _Running(run, thread)
        thread.start()

    def _stop_step(self, action: StopStep) -> None:
        with self._lock:
            running = self._running.get((action.cluster_id, action.step_id))
        if running is not None:
            running.stop(at_once=action.at_once)

    def _stop_cluster(self, action: StopCluster, service: EmrService) -> None:
        try:
            self._end_processes(action.cluster_id)
        except Exception:
            # what the system itself cannot end must not hold the cluster's slot for ever
            LOG.exception(
                "%s is terminated, though not all of its processes could be ended", action.cluster_id
            )
        service.change(lambda plane, now: plane.cluster_stopped(action.cluster_id, now))

    def _end_processes(self, cluster_id: ClusterId) -> None:
        with self._lock:
            of_cluster = [running for key, running in self._running.items() if key[0] == cluster_id]
        for running in of_cluster:
            running.stop(at_once=False)
        # what a step left running in the background ends with its cluster, as its machines do
        processes.end(
            processes.marker(self._machine.settings.root, cluster_id),
            grace_seconds=self._machine.settings.grace_seconds,
        )

    def _in_background(self, work: Callable[[], None]) -> None:
        def work_or_say() -> None:
            try:
                work()
            except Exception:
                LOG.exception("processes could not be ended")

        Thread(target=work_or_say, name="stop", daemon=True).start()


def _end_of(run: Callable[[], End], failed: Callable[[str], End]) -> End:
    """How it ended; what it did not foresee (a full disk, a file that is gone) is its failure as well."""
    try:
        return run()
    except Exception as problem:
        LOG.exception("a step or bootstrap action could not be run")
        return failed(f"local_aws could not run it: {type(problem).__name__}: {problem}")
