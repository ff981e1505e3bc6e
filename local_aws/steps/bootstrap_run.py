"""A cluster's bootstrap actions, run for real, one after the other, until one fails.

On EMR every node runs them as the user hadoop, with sudo. Here they run once, as whoever runs local_aws, and cannot
become anybody else: where the system allows it (Linux), they get no new privileges, so sudo is refused.
Source: https://docs.aws.amazon.com/emr/latest/ManagementGuide/emr-plan-bootstrap.html
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from shutil import rmtree
from typing import Any

from local_aws.emr.control_plane import BootstrapEnd
from local_aws.emr.nodes import primary_instance_id
from local_aws.emr.values import Cluster
from local_aws.steps import guard, processes
from local_aws.steps.guarded import GuardedCommand
from local_aws.steps.logs import StepLogs, log_destination
from local_aws.steps.machine import Machine

# what a shell says of a program it cannot start
NOT_STARTED = 127


class BootstrapRun:
    """:param folder: for the logs of all actions"""

    def __init__(self, machine: Machine, cluster: Cluster, folder: Path) -> None:
        self._machine = machine
        self._cluster = cluster
        self._folder = folder
        self._stopped = False
        self._current: GuardedCommand | None = None

    def stop(self, *, at_once: bool = False) -> None:
        """End the action that runs, and start no other; `run` then returns. :param at_once: without grace"""
        self._stopped = True
        if self._current is not None:
            self._current.stop(at_once=at_once)

    def run(self) -> BootstrapEnd:
        actions = self._cluster.request.get("BootstrapActions") or ()
        for number, action in enumerate(actions, start=1):
            if self._stopped:
                break
            code = self._run_action(number, action["ScriptBootstrapAction"])
            if code != 0:
                return BootstrapEnd(action=number, exit_code=code)
        return BootstrapEnd()

    def _run_action(self, number: int, script: Mapping[str, Any]) -> int:
        place = ("node", primary_instance_id(self._cluster), "bootstrap-actions", str(number))
        logs = StepLogs(self._folder / str(number), log_destination(self._cluster, *place))
        work = logs.folder / "work"
        command = GuardedCommand(
            self._machine,
            marker=processes.marker(
                self._machine.settings.root, self._cluster.cluster_id, f"bootstrap-{number}"
            ),
            logs=logs,
            work=work,
        )
        self._current = command
        if self._stopped:
            # told so between this action and the one before
            return 0
        args = [str(arg) for arg in script.get("Args") or ()]
        logs.say(f"startExec '{' '.join([script['Path'], *args])}'")
        try:
            path = self._fetch(str(script["Path"]), work)
            code = command.run([str(path), *args], {}, options=[guard.NO_NEW_PRIVILEGES])
        except Exception as problem:  # noqa: BLE001 - whatever goes wrong is the action's failure; its log says how
            logs.say(f"local_aws could not run the bootstrap action: {problem}", level="ERROR")
            code = NOT_STARTED
        rmtree(work, ignore_errors=True)
        logs.bring_to_s3(self._machine.client, delay_seconds=self._machine.settings.log_delay_seconds)
        return code

    def _fetch(self, uri: str, work: Path) -> Path:
        """The script, as a file that may be executed."""
        scheme, _, rest = uri.partition("://")
        bucket, _, key = rest.partition("/")
        if scheme not in ("s3", "s3a", "s3n") or not bucket or not key:
            raise ValueError(f"{uri!r} is no script here: s3://<bucket>/<key> is accepted")
        work.mkdir(parents=True, exist_ok=True)
        path = work / Path(key).name
        self._machine.client.download_file(bucket, key, str(path))
        path.chmod(0o700)
        return path
