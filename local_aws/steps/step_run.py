"""One step, from its cluster's request to its end: fill the desk, run the command, carry back, keep the logs."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from shutil import rmtree
from threading import Event, Timer

from botocore.exceptions import BotoCoreError, ClientError

from local_aws.emr.step_life import StepEnd
from local_aws.emr.values import Cluster, Failure, Step
from local_aws.steps import guard, processes
from local_aws.steps.configurations import without_effect
from local_aws.steps.failures import find_cause
from local_aws.steps.logs import StepLogs, log_file_uri
from local_aws.steps.machine import Machine
from local_aws.steps.spark import local_command, parse_spark_submit
from local_aws.steps.spark_files import StepInfo

UNKNOWN_ERROR = "Unknown Error."
# a step sees no more of this machine's environment than it needs: no credentials, no addresses of databases
_PASSED_ON = ("HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "LOGNAME", "PATH", "SHELL", "TZ", "USER")


class StepRun:
    def __init__(self, machine: Machine, cluster: Cluster, step: Step, folder: Path) -> None:
        self._machine = machine
        self._cluster = cluster
        self._step = step
        self._logs = StepLogs(folder)
        self._work = folder / "work"
        self._marker = processes.marker(machine.settings.root, cluster.cluster_id, step.step_id)
        self._stopped = Event()
        self._unfinished: frozenset[Path] = frozenset()

    def stop(self, *, at_once: bool = False) -> None:
        """End every process of the step; `run` then returns. :param at_once: without grace"""
        self._stopped.set()
        self._unfinished = processes.files_being_written(self._marker)
        grace_seconds = 0.0 if at_once else self._machine.settings.grace_seconds
        processes.end(self._marker, grace_seconds=grace_seconds)

    def run(self) -> StepEnd:
        """Runs the step to its end; whatever goes wrong is the step's failure, never this process's."""
        started = time.monotonic()
        self._logs.say(f"startExec 'command-runner.jar {' '.join(self._step.args)}'")
        try:
            code = self._run_program()
        except Exception as problem:  # noqa: BLE001 - a step may fail in any way; its log and its state say how
            self._logs.say(f"local_aws could not run the step: {problem}", level="ERROR")
            end = StepEnd(Failure(UNKNOWN_ERROR, str(problem), self._log_file("controller")))
        else:
            end = self._end(code)
        seconds = round(time.monotonic() - started)
        self._logs.say(f"total process run time: {seconds} seconds")
        rmtree(self._work, ignore_errors=True)
        self._bring_logs_to_s3()
        return end

    def _run_program(self) -> int:
        self._work.mkdir(parents=True, exist_ok=True)
        (self._work / "tmp").mkdir(exist_ok=True)
        if self._step.args[0] == "bash":
            return self._run_command(self._step.args, {})
        return self._run_spark()

    def _run_spark(self) -> int:
        spark = self._machine.spark(str(self._cluster.request["ReleaseLabel"]))
        configurations = self._cluster.request.get("Configurations") or ()
        self._logs.say(f"local_aws: Spark {spark.full_version} of {spark.home}")
        for classification in without_effect(configurations):
            self._logs.say(f"local_aws: classification {classification} has no effect on this machine")
        info = StepInfo(spark, self._logs, lambda: self._unfinished)
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
            return self._run_command(command.argv, command.environment)

    def _run_command(self, argv: tuple[str, ...], extra: Mapping[str, str]) -> int:
        read_end, write_end = os.pipe()
        try:
            guarded = [sys.executable, "-I", "-S", guard.__file__, str(read_end), *argv]
            with self._logs.path("stdout").open("wb") as out, self._logs.path("stderr").open("wb") as err:
                process = subprocess.Popen(
                    guarded,
                    cwd=self._work,
                    env=self._environment() | dict(extra),
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=err,
                    pass_fds=(read_end,),
                    start_new_session=True,
                )
            if self._stopped.is_set():
                self.stop()
            code = process.wait()
            if self._stopped.is_set():
                # the guard may have gone before those it guards
                processes.end(self._marker, grace_seconds=self._machine.settings.grace_seconds)
        finally:
            os.close(read_end)
            os.close(write_end)
        self._logs.say(f"waitProcessCompletion ended with exit code {code}")
        return code

    def _environment(self) -> dict[str, str]:
        passed_on = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        return passed_on | {
            processes.MARKER: self._marker,
            "TMPDIR": str(self._work / "tmp"),
            # boto3 and the AWS CLI inside a step reach this S3 and nothing else
            "AWS_ACCESS_KEY_ID": "local",
            "AWS_SECRET_ACCESS_KEY": "local",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": self._machine.endpoint_url,
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def _end(self, code: int) -> StepEnd:
        if code == 0 and not self._stopped.is_set():
            return StepEnd()
        self._logs.say(f"Step failed with exitCode {code}", level="WARN")
        cause = find_cause(
            stdout=self._logs.tail("stdout"),
            stderr=self._logs.tail("stderr"),
            desks_folder=self._machine.settings.desks_folder,
        )
        return StepEnd(Failure(UNKNOWN_ERROR, cause.message, self._log_file(cause.log)))

    def _log_file(self, name: str) -> str:
        if self._cluster.log_uri is None:
            return self._logs.path(name).as_uri()
        return log_file_uri(self._cluster.log_uri, self._cluster.cluster_id, self._step.step_id, name)

    def _bring_logs_to_s3(self) -> None:
        delay_seconds = self._machine.settings.log_delay_seconds
        if not delay_seconds:
            self._upload_logs()
            return
        later = Timer(delay_seconds, self._upload_logs)
        later.daemon = True
        later.start()

    def _upload_logs(self) -> None:
        if self._cluster.log_uri is None:
            return
        try:
            self._logs.upload(
                self._machine.client, self._cluster.log_uri, self._cluster.cluster_id, self._step.step_id
            )
        except (BotoCoreError, ClientError) as problem:
            self._logs.say(f"logs could not be written to {self._cluster.log_uri}: {problem}", level="ERROR")
