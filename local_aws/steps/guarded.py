"""One command of a cluster as processes of this machine: how it is started, what it sees, how all of it is ended."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import Event, Thread

from local_aws.s3 import DUMMY_KEY
from local_aws.steps import guard, processes
from local_aws.steps.logs import StepLogs
from local_aws.steps.machine import Machine

# a command sees no more of this machine's environment than it needs: no credentials, no addresses of databases
_PASSED_ON = ("HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "LOGNAME", "PATH", "SHELL", "TZ", "USER")

_LONGEST_CODE = 16


class GuardedCommand:
    """
    :param marker: what all its processes carry, see `processes`
    :param work: its working folder, which it has to itself
    """

    def __init__(self, machine: Machine, *, marker: str, logs: StepLogs, work: Path) -> None:
        self._machine = machine
        self._marker = marker
        self._logs = logs
        self._work = work
        self._stopped = Event()
        # files that its processes had open for writing when they were stopped
        self.unfinished: frozenset[Path] = frozenset()

    @property
    def was_stopped(self) -> bool:
        return self._stopped.is_set()

    def stop(self, *, at_once: bool = False) -> None:
        """End every process; `run` then returns. :param at_once: without grace"""
        self._stopped.set()
        self.unfinished = processes.files_being_written(self._marker)
        self._end(0.0 if at_once else self._machine.settings.grace_seconds)

    def run(self, argv: Sequence[str], extra: Mapping[str, str], *, options: Sequence[str] = ()) -> int:
        """The command's exit code; what it left in the background runs on. :param options: the guard's own"""
        (self._work / "tmp").mkdir(parents=True, exist_ok=True)
        watched, held = os.pipe()
        answer, told = os.pipe()
        try:
            ends = [str(watched), str(told)]
            guarded = [sys.executable, "-I", "-S", guard.__file__, *options, *ends, *argv]
            with self._logs.path("stdout").open("wb") as out, self._logs.path("stderr").open("wb") as err:
                process = subprocess.Popen(
                    guarded,
                    cwd=self._work,
                    env=self._environment() | dict(extra),
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=err,
                    pass_fds=(watched, told),
                    start_new_session=True,
                )
        except BaseException:
            os.close(held)
            os.close(answer)
            raise
        finally:
            os.close(watched)
            os.close(told)
        Thread(target=_see_off, args=(process, held), name=f"guard-{process.pid}", daemon=True).start()
        try:
            if self.was_stopped:
                self.stop()
            said = os.read(answer, _LONGEST_CODE)
        finally:
            os.close(answer)
        # a guard that was killed says nothing
        code = int(said) if said else process.wait()
        if self.was_stopped:
            # what the command started may be there still
            self._end(self._machine.settings.grace_seconds)
        self._logs.say(f"waitProcessCompletion ended with exit code {code}")
        return code

    def _end(self, grace_seconds: float) -> None:
        processes.end(self._marker, grace_seconds=grace_seconds)

    def _environment(self) -> dict[str, str]:
        passed_on = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        return passed_on | {
            processes.MARKER: self._marker,
            "TMPDIR": str(self._work / "tmp"),
            # boto3 and the AWS CLI inside a step reach this S3 and nothing else
            "AWS_ACCESS_KEY_ID": DUMMY_KEY,
            "AWS_SECRET_ACCESS_KEY": DUMMY_KEY,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": self._machine.endpoint_url,
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            # the same to version 1 of the Java SDK, which S3A of Spark 3.5 uses
            "AWS_CREDENTIAL_PROFILES_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
        }


def _see_off(process: subprocess.Popen[bytes], held: int) -> None:
    """Hold on to what the guard watches for as long as it is there: it may outlive its command."""
    process.wait()
    os.close(held)
