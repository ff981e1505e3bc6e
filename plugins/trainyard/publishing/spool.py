"""What has been read and checked waits here, on disk, for the transaction that takes it: memory holds places only.

So publishing a thousand models takes no more memory than publishing ten, and no transaction waits for S3.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from threading import Lock
from types import TracebackType

_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class Kept:
    """Where a content lies in the spool, in bytes."""

    offset: int
    size: int


class Spool:
    """A file without a name in the folder for temporary files (``TMPDIR``), gone with its process. Thread-safe."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile(prefix="trainyard-")  # noqa: SIM115 (closed by __exit__)
        self._end = 0
        self._lock = Lock()

    def __enter__(self) -> Spool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def reserve(self, size: int) -> Kept:
        """Room that nobody else writes to."""
        with self._lock:
            kept = Kept(self._end, size)
            self._end += size
        return kept

    def write(self, kept: Kept, offset: int, content: bytes) -> None:
        """Fill a part of reserved room, ``offset`` bytes from its start."""
        view, position = memoryview(content), kept.offset + offset
        while view:
            written = os.pwrite(self._file.fileno(), view, position)
            view, position = view[written:], position + written

    def keep(self, content: bytes) -> Kept:
        """Keep a content."""
        kept = self.reserve(len(content))
        self.write(kept, 0, content)
        return kept

    def read(self, kept: Kept) -> bytes:
        """A whole content."""
        content = b"".join(self.chunks(kept, chunk_bytes=max(1, kept.size)))
        if len(content) != kept.size:
            raise OSError(f"the spool gave {len(content)} of {kept.size} bytes")
        return content

    def chunks(self, kept: Kept, *, chunk_bytes: int = _CHUNK_BYTES) -> Iterator[bytes]:
        """A content piece by piece."""
        position, end = kept.offset, kept.offset + kept.size
        while position < end:
            chunk = os.pread(self._file.fileno(), min(chunk_bytes, end - position), position)
            if not chunk:
                return
            yield chunk
            position += len(chunk)
