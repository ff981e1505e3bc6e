"""The three logs of a step or a bootstrap action: on disk while it runs, gzipped under the cluster's LogUri afterwards.

The layout is EMR's (emr-manage-view-web-log-files.html):
`<LogUri>/<cluster id>/steps/<step id>/{controller,stdout,stderr}.gz`, and
`<LogUri>/<cluster id>/node/<instance id>/bootstrap-actions/<number>/{controller,stdout,stderr}.gz`.
"""

from __future__ import annotations

import gzip
from datetime import datetime, timezone
from pathlib import Path
from threading import Timer
from typing import Any

from local_aws.emr.values import Cluster

NAMES = ("controller", "stdout", "stderr")
_TAIL_BYTES = 256 * 1024


class StepLogs:
    """
    :param folder: on this disk
    :param destination: `s3://<bucket>/<prefix>/` of their own under LogUri; None for a cluster without LogUri
    """

    def __init__(self, folder: Path, destination: str | None) -> None:
        self.folder = folder
        self._destination = destination

    def path(self, name: str) -> Path:
        return self.folder / name

    def uri(self, name: str) -> str:
        """Where a person finds this log, once it is there."""
        return self.path(name).as_uri() if self._destination is None else f"{self._destination}{name}.gz"

    def say(self, sentence: str, *, level: str = "INFO") -> None:
        """One line into the controller log."""
        moment = datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        self.folder.mkdir(parents=True, exist_ok=True)
        # an argument may hold what is no text: JSON's lone surrogates
        with self.path("controller").open("a", encoding="utf-8", errors="backslashreplace") as file:
            file.write(f"{moment} {level} {sentence}\n")

    def bring_to_s3(self, client: Any, *, delay_seconds: float) -> None:
        """Upload the logs, at once or later; what goes wrong is a line of the controller log."""
        if self._destination is None:
            return
        if not delay_seconds:
            self._upload(client, self._destination)
            return
        later = Timer(delay_seconds, self._upload, (client, self._destination))
        later.daemon = True
        later.start()

    def tail(self, name: str) -> list[str]:
        """The last lines that say anything."""
        path = self.path(name)
        if not path.exists():
            return []
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - _TAIL_BYTES))
            return [line for line in file.read().decode("utf-8", "replace").splitlines() if line.strip()]

    def _upload(self, client: Any, destination: str) -> None:
        bucket, _, prefix = destination.partition("://")[2].partition("/")
        try:
            for name in NAMES:
                path = self.path(name)
                client.put_object(
                    Bucket=bucket,
                    Key=f"{prefix}{name}.gz",
                    Body=gzip.compress(path.read_bytes() if path.exists() else b""),
                    ContentType="application/gzip",
                )
        except Exception as problem:  # noqa: BLE001 - the step is none the worse for it
            self.say(f"logs could not be written to {destination}: {problem}", level="ERROR")


def log_destination(cluster: Cluster, *parts: str) -> str | None:
    """The folder under the cluster's LogUri, as `s3://`; None where the cluster has no LogUri."""
    if cluster.log_uri is None:
        return None
    bucket, _, prefix = cluster.log_uri.partition("://")[2].partition("/")
    folders = [bucket, *filter(None, [prefix.strip("/")]), cluster.cluster_id, *parts]
    return f"s3://{'/'.join(folders)}/"
