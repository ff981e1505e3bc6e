"""The training folder: every file the job leaves behind, and the manifest that makes them count.

No manifest: nothing happened. The manifest is therefore written last, and holds the hash and size of each other file.
"""

from __future__ import annotations

import gzip
import threading
from dataclasses import asdict
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from training_job.storage import FileDigest, Storage, encode_json

if TYPE_CHECKING:
    from collections.abc import Callable

    from training_job.request import Request

FORMAT_VERSION = 2
LARGEST_PLAIN_BYTES = 1 << 20


class TrainingFolder:
    """Writes below the request's output folder and remembers the digest of what it wrote; for several threads.

    :param before_writing: is called before each file, and does not return where none may be written any more
    """

    def __init__(
        self, storage: Storage, request: Request, *, before_writing: Callable[[], None] = lambda: None
    ) -> None:
        self._storage = storage
        self._before_writing = before_writing
        self._request = request
        self._digests: dict[str, FileDigest] = {}
        self._lock = threading.Lock()

    def write_json(self, name: str, content: dict[str, Any], *, may_be_gzipped: bool = False) -> None:
        """Write one file; where it may be and is large, gzipped and with ``.gz`` behind its name."""
        encoded = encode_json({"format_version": FORMAT_VERSION, **content})
        if may_be_gzipped and len(encoded) > LARGEST_PLAIN_BYTES:
            # no time stamp inside: equal contents give equal bytes
            name, encoded = f"{name}.gz", gzip.compress(encoded, mtime=0)
        self._before_writing()
        digest = self._storage.write_bytes(self._request.output + name, encoded)
        with self._lock:
            self._digests[name] = digest

    def save_model(self, spark_model: Any) -> str:
        """Save below ``model/`` so that MLlib loads it again; returns that folder's URI."""
        folder = self._request.output + "model"
        self._before_writing()
        spark_model.write().overwrite().save(folder)
        digests = self._storage.digests_below(folder)
        with self._lock:
            self._digests.update({f"model/{name}": digest for name, digest in digests.items()})
        return folder

    def write_manifest(self) -> None:
        """Write ``manifest.json``: from here on the training has succeeded."""
        manifest = {
            "format_version": FORMAT_VERSION,
            "status": "succeeded",
            "training": asdict(self._request.training),
            "request_sha256": self._request.sha256,
            "files": {name: asdict(digest) for name, digest in self._digests.items()},
            "finished_at": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        }
        self._storage.write_bytes(self._request.output + "manifest.json", encode_json(manifest))
