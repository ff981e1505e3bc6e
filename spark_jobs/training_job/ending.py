"""How a job ends: once, and either well or with ``failure.json``.

The watchdog of the deadline and the job itself may come to an end at the same moment; the first of them decides, so
that a folder never holds both a manifest and a failure.
"""

from __future__ import annotations

import logging
import os
import threading
from dataclasses import asdict
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from training_job.failures import JobError
from training_job.storage import encode_json

if TYPE_CHECKING:
    from collections.abc import Callable

    from training_job.request import Request
    from training_job.storage import Storage

logger = logging.getLogger(__name__)

LONGEST_NAP_SECONDS = 30.0
REPORT_SECONDS = 60.0
WRITTEN = (
    "model",
    "artifact.json",
    "artifact.json.gz",
    "metrics.json",
    "curves.json",
    "thresholds.json",
    "profile.json",
    "skipped_lines.json",
)


class Ending:
    """The one end of a job.

    :param folder: where ``failure.json`` goes; ends with a slash
    """

    def __init__(self, storage: Storage, folder: str) -> None:
        self._storage = storage
        self._folder = folder
        self._training: dict[str, object] | None = None
        self._saving = False
        self._ended = False
        self._overtaken = False
        self._lock = threading.Lock()
        self._over = threading.Event()

    def begin(self, request: Request) -> None:
        """Take the request's folder, remove the end that an earlier run of this attempt left, watch the deadline."""
        self._folder = request.output
        self._training = asdict(request.training)
        for name in ("manifest.json", "failure.json"):
            self._storage.remove(self._folder + name)
        threading.Thread(target=self._watch, args=(request.deadline,), name="deadline", daemon=True).start()

    def saving(self) -> None:
        """From here on a failure has files to take back."""
        self._saving = True

    def succeed(self, write_manifest: Callable[[], None]) -> None:
        """End well, unless the deadline was first: then this waits for the process to be ended."""
        first = self._claim()
        self.stand_by()
        if first:
            write_manifest()
            self._over.set()

    def fail(self, failure: JobError) -> None:
        """End with ``failure.json`` and nothing else, unless the job has ended; waits as :meth:`succeed` does."""
        first = self._claim()
        self.stand_by()
        if first:
            self._report(failure)
            self._over.set()

    def stand_by(self) -> None:
        """Nothing, unless the deadline was first: then wait for the process to be ended.

        Whoever went on would write beside ``failure.json``, or stop the JVM that is writing it.
        """
        if self._overtaken:
            threading.Event().wait()

    def _claim(self, *, by_deadline: bool = False) -> bool:
        with self._lock:
            first, self._ended = not self._ended, True
            self._overtaken |= first and by_deadline
        return first

    def _report(self, failure: JobError) -> None:
        # the exception's text, without the lines: what is logged here is kept where users' data may not be
        logger.error("%s", failure)
        self._take_back()
        self._storage.write_bytes(
            self._folder + "failure.json", encode_json(failure.document(self._training))
        )
        # at the deadline, a write that was under way may have ended since
        self._take_back()

    def _take_back(self) -> None:
        if self._saving:
            for name in WRITTEN:
                self._storage.remove(self._folder + name)

    def _watch(self, deadline: datetime) -> None:
        """Sleep until the deadline, by the wall clock, then end the process."""
        while (left := (deadline - datetime.now(timezone.utc)).total_seconds()) > 0:
            if self._over.wait(min(left, LONGEST_NAP_SECONDS)):
                return
        if not self._claim(by_deadline=True):
            return
        sentence = f"the job was still running at its deadline, {deadline.isoformat()}"
        report = threading.Thread(
            target=self._report, args=(JobError("deadline_exceeded", sentence),), daemon=True
        )
        report.start()
        # a JVM that hangs must not keep the process, and with it the cluster, alive
        report.join(REPORT_SECONDS)
        os._exit(1)
