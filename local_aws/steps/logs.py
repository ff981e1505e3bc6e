"""A step's three logs: on disk while it runs, gzipped under the cluster's LogUri when it has ended.

The layout is EMR's: `<LogUri>/<cluster id>/steps/<step id>/{controller,stdout,stderr}.gz`.
"""

from __future__ import annotations

import gzip
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

NAMES = ("controller", "stdout", "stderr")
_TAIL_BYTES = 256 * 1024


class StepLogs:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def path(self, name: str) -> Path:
        return self.folder / name

    def say(self, sentence: str, *, level: str = "INFO") -> None:
        """One line into the controller log."""
        moment = datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        with self.path("controller").open("a", encoding="utf-8") as file:
            file.write(f"{moment} {level} {sentence}\n")

    def upload(self, client: Any, log_uri: str, cluster_id: str, step_id: str) -> None:
        bucket, prefix = _split(log_uri)
        for name in NAMES:
            path = self.path(name)
            data = path.read_bytes() if path.exists() else b""
            client.put_object(
                Bucket=bucket,
                Key=f"{prefix}{cluster_id}/steps/{step_id}/{name}.gz",
                Body=gzip.compress(data),
                ContentType="application/gzip",
            )

    def tail(self, name: str) -> list[str]:
        """The last lines that say anything."""
        path = self.path(name)
        if not path.exists():
            return []
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - _TAIL_BYTES))
            return [line for line in file.read().decode("utf-8", "replace").splitlines() if line.strip()]


def log_file_uri(log_uri: str, cluster_id: str, step_id: str, name: str) -> str:
    bucket, prefix = _split(log_uri)
    return f"s3://{bucket}/{prefix}{cluster_id}/steps/{step_id}/{name}.gz"


def _split(log_uri: str) -> tuple[str, str]:
    bucket, _, prefix = log_uri.partition("://")[2].partition("/")
    return bucket, f"{prefix.rstrip('/')}/" if prefix.strip("/") else ""
