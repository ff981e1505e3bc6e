"""Lines that are too long to be held in memory: found before anything reads them, by looking for line ends.

Spark holds a line several times over, so that one of 100 MB ends an executor of 1 GB. Of each stretch as long as a line
may be, only the end is read, backwards, until a line end is met: a few kilobytes for every 16 MB.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Optional

from training_job.failures import MAX_LINE_CHARACTERS, JobError, Place
from training_job.inputs import InputObject
from training_job.libsvm_text import LONGEST_LINE_BYTES
from training_job.storage import Storage

# a codec of Hadoop's stands behind each of these; inside, line ends cannot be looked for
COMPRESSED = (".gz", ".bz2", ".deflate", ".lz4", ".snappy", ".zst")
# in one write on its way from the JVM to Python: what does not fit into py4j's 8 KB, as base64, goes in several, and
# each further one waits until the one before it was acknowledged, which Linux puts off by 40 ms
PROBE_BYTES = 4 << 10
COUNTED_BYTES = 4 << 20
THREADS = 16


def check_lines_are_short(storage: Storage, objects: Sequence[InputObject]) -> None:
    """Raise ``line_too_long`` for the first line that is; compressed objects are not looked at."""
    large = [each for each in objects if each.size > LONGEST_LINE_BYTES and not each.uri.endswith(COMPRESSED)]
    with ThreadPoolExecutor(THREADS) as threads:
        starts = list(threads.map(lambda each: _long_line(storage, each), large))
    for listed, start in zip(large, starts):
        if start is not None:
            line = _line_ends_before(storage, listed.uri, start) + 1
            begin = storage.read_part(listed.uri, start, MAX_LINE_CHARACTERS).decode("utf-8", "replace")
            raise JobError(
                "line_too_long",
                f"{listed.uri}, line {line}: the line is longer than {LONGEST_LINE_BYTES:,} bytes",
                place=Place(listed.uri, line),
                lines=(begin,),
            )


def _long_line(storage: Storage, listed: InputObject) -> Optional[int]:
    """Where the first line begins that is too long."""
    start = 0
    while listed.size - start > LONGEST_LINE_BYTES:
        found = _last_line_end(storage, listed.uri, start, start + LONGEST_LINE_BYTES)
        if found is None:
            return start
        start = found + 1
    return None


def _last_line_end(storage: Storage, uri: str, start: int, end: int) -> Optional[int]:
    probe = PROBE_BYTES
    while end > start:
        length = min(probe, end - start)
        part = storage.read_part(uri, end - length, length)
        found = max(part.rfind(b"\n"), part.rfind(b"\r"))
        if found >= 0:
            return end - length + found
        end -= length
        # over S3, each part is a request: a line of 16 MB takes a dozen, not a thousand
        probe *= 2
    return None


def _line_ends_before(storage: Storage, uri: str, end: int) -> int:
    ends, before = 0, b""
    for part in _parts(storage, uri, end):
        both = part.count(b"\r\n") + (before == b"\r" and part[:1] == b"\n")
        ends += part.count(b"\n") + part.count(b"\r") - both
        before = part[-1:]
    return ends


def _parts(storage: Storage, uri: str, end: int) -> Iterator[bytes]:
    for start in range(0, end, COUNTED_BYTES):
        yield storage.read_part(uri, start, min(COUNTED_BYTES, end - start))
