"""One step, from its cluster's request to its end: see its files, run the command, keep the logs."""

from __future__ import annotations

import time
from pathlib import Path
from shutil import rmtree

from local_aws.emr.step_life import StepEnd
from local_aws.emr.values import Cluster, Failure, Step
from local_aws.steps import processes
from local_aws.steps.configurations import without_effect
from local_aws.steps.failures import find_cause
from local_aws.steps.guarded import GuardedCommand
from local_aws.steps.logs import StepLogs, log_destination
from local_aws.steps.machine import Machine
from local_aws.steps.spark import local_command, parse_spark_submit
from local_aws.steps.spark_files import StepInfo

UNKNOWN_ERROR = "Unknown Error."


class StepRun:
    def __init__(self, machine: Machine, cluster: Cluster, step: Step, folder: Path) -> None:
        self._machine = machine
        self._cluster = cluster
        self._step = step
        self._logs = StepLogs(folder, log_destination(cluster, "steps", step.step_id))
        self._work = folder / "work"
        self._command = GuardedCommand(
            machine,
            marker=processes.marker(machine.settings.root, cluster.cluster_id, step.step_id),
            logs=self._logs,
            work=self._work,
        )

    def stop(self, *, at_once: bool = False) -> None:
        """End every process of the step; `run` then returns. :param at_once: without grace"""
        self._command.stop(at_once=at_once)

    def run(self) -> StepEnd:
        """Runs the step to its end; whatever goes wrong is the step's failure, never this process's."""
        started = time.monotonic()
        self._logs.say(f"startExec 'command-runner.jar {' '.join(self._step.args)}'")
        try:
            code = self._run_program()
        except Exception as problem:  # noqa: BLE001 - a step may fail in any way; its log and its state say how
            self._logs.say(f"local_aws could not run the step: {problem}", level="ERROR")
            end = StepEnd(Failure(UNKNOWN_ERROR, str(problem), self._logs.uri("controller")))
        else:
            end = self._end(code)
        seconds = round(time.monotonic() - started)
        self._logs.say(f"total process run time: {seconds} seconds")
        rmtree(self._work, ignore_errors=True)
        self._logs.bring_to_s3(self._machine.client, delay_seconds=self._machine.settings.log_delay_seconds)
        return end

    def _run_program(self) -> int:
        if self._step.args[0] == "bash":
            return self._command.run(self._step.args, {})
        return self._run_spark()

    def _run_spark(self) -> int:
        spark = self._machine.spark(str(self._cluster.request["ReleaseLabel"]))
        configurations = self._cluster.request.get("Configurations") or ()
        self._logs.say(f"local_aws: Spark {spark.full_version} of {spark.home}")
        for classification in without_effect(configurations):
            self._logs.say(f"local_aws: classification {classification} has no effect on this machine")
        info = StepInfo(spark, self._logs, lambda: self._command.unfinished)
        with self._machine.spark_files.while_it_runs(info) as hadoop:
            command = local_command(
                parse_spark_submit(self._step.args[1:]),
                configurations=configurations,
                machine=self._machine.local_spark(spark),
                hadoop=hadoop,
                folder=self._work,
            )
            for path, text in command.files.items():
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, encoding="utf-8")
            for note in command.notes:
                self._logs.say(note)
            return self._command.run(command.argv, command.environment)

    def _end(self, code: int) -> StepEnd:
        if code == 0 and not self._command.was_stopped:
            return StepEnd()
        self._logs.say(f"Step failed with exitCode {code}", level="WARN")
        cause = find_cause(
            stdout=self._logs.tail("stdout"),
            stderr=self._logs.tail("stderr"),
            desks_folder=self._machine.settings.desks_folder,
        )
        return StepEnd(Failure(UNKNOWN_ERROR, cause.message, self._logs.uri(cause.log)))
