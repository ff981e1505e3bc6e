"""Turns the control plane's actions into threads that run and stop steps."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock, Thread

from local_aws.emr.control_plane import Action, StartBootstrap, StartStep, StopCluster, StopStep
from local_aws.emr.service import EmrService
from local_aws.emr.store import ClusterStore
from local_aws.emr.values import ClusterId, StepId
from local_aws.steps import processes
from local_aws.steps.bootstrap_run import BootstrapRun
from local_aws.steps.machine import Machine
from local_aws.steps.step_run import StepRun


class StepMachinery:
    def __init__(self, machine: Machine, store: ClusterStore) -> None:
        self._machine = machine
        self._store = store
        self._lock = Lock()
        self._running: dict[tuple[ClusterId, StepId], tuple[StepRun, Thread]] = {}
        self._bootstrapping: dict[ClusterId, tuple[BootstrapRun, Thread]] = {}

    def perform(self, action: Action, service: EmrService) -> None:
        if isinstance(action, StartStep):
            self._start(action, service)
        elif isinstance(action, StartBootstrap):
            self._bootstrap(action, service)
        elif isinstance(action, StopStep):
            self._in_background(
                lambda: self._stop_steps(action.cluster_id, action.step_id, at_once=action.at_once)
            )
        else:
            self._in_background(lambda: self._stop_cluster(action, service))

    def stop_everything(self) -> None:
        """End every process of every step of this root, also those an earlier life left behind."""
        processes.end(
            processes.marker(self._machine.settings.root), grace_seconds=self._machine.settings.grace_seconds
        )

    def _start(self, action: StartStep, service: EmrService) -> None:
        cluster, step = action.cluster, action.step
        key = (cluster.cluster_id, step.step_id)
        run = StepRun(self._machine, cluster, step, self._store.step_folder(*key))

        def run_and_report() -> None:
            end = run.run()
            with self._lock:
                self._running.pop(key, None)
            service.change(lambda plane, now: plane.step_ended(*key, end, now))

        thread = Thread(target=run_and_report, name=f"step-{step.step_id}", daemon=True)
        with self._lock:
            self._running[key] = (run, thread)
        thread.start()

    def _bootstrap(self, action: StartBootstrap, service: EmrService) -> None:
        cluster_id = action.cluster.cluster_id
        run = BootstrapRun(self._machine, action.cluster, self._store.bootstrap_folder(cluster_id))

        def run_and_report() -> None:
            end = run.run()
            with self._lock:
                self._bootstrapping.pop(cluster_id, None)
            service.change(lambda plane, now: plane.bootstrap_ended(cluster_id, end, now))

        thread = Thread(target=run_and_report, name=f"bootstrap-{cluster_id}", daemon=True)
        with self._lock:
            self._bootstrapping[cluster_id] = (run, thread)
        thread.start()

    def _stop_bootstrap(self, cluster_id: ClusterId) -> None:
        with self._lock:
            run, thread = self._bootstrapping.get(cluster_id, (None, None))
        if run is not None and thread is not None:
            run.stop()
            thread.join()

    def _stop_steps(
        self, cluster_id: ClusterId, step_id: StepId | None = None, *, at_once: bool = False
    ) -> None:
        with self._lock:
            running = [
                pair
                for key, pair in self._running.items()
                if key[0] == cluster_id and step_id in (None, key[1])
            ]
        for run, thread in running:
            run.stop(at_once=at_once)
            thread.join()

    def _stop_cluster(self, action: StopCluster, service: EmrService) -> None:
        self._stop_bootstrap(action.cluster_id)
        self._stop_steps(action.cluster_id)
        # what a step left running in the background ends with its cluster, as its machines do
        processes.end(
            processes.marker(self._machine.settings.root, action.cluster_id),
            grace_seconds=self._machine.settings.grace_seconds,
        )
        service.change(lambda plane, now: plane.cluster_stopped(action.cluster_id, now))

    def _in_background(self, work: Callable[[], None]) -> None:
        Thread(target=work, name="stop", daemon=True).start()
