"""Files through Hadoop's FileSystem API: S3A on EMR, whatever ``s3://`` is elsewhere, ``file:///`` in tests.

Python's own ``open`` would see the node's disk only. A file of an object store appears when its stream is closed, so a
reader never sees half of one.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from py4j.protocol import Py4JError, Py4JJavaError
from pyspark.sql import SparkSession

WRITE_BYTES = 1 << 20
# Java has no names for arguments
OVERWRITE = RECURSIVE = True


@dataclass(frozen=True)
class FileDigest:
    """
    :param size: in bytes
    """

    sha256: str
    size: int


@dataclass(frozen=True)
class StoredFile:
    """
    :param size: in bytes
    :param etag: without quotes; None where the file system knows none
    """

    size: int
    etag: str | None


class Storage:
    """Reads, writes, lists and removes by URI; errors come up as Py4JJavaError of the Java IOException."""

    def __init__(self, spark: SparkSession) -> None:
        # the bridge to the JVM has no public name; each part of a class name is a call over it and a search of all jars
        apache: Any = spark._jvm.org.apache  # noqa: SLF001
        self._path: Any = apache.hadoop.fs.Path
        self._io_utils = apache.commons.io.IOUtils
        self._digest_utils = apache.commons.codec.digest.DigestUtils
        self._configuration = spark.sparkContext._jsc.hadoopConfiguration()  # noqa: SLF001

    def read_bytes(self, uri: str) -> bytes:
        stream = self._file_system(uri).open(self._path(uri))
        try:
            content: bytes = self._io_utils.toByteArray(stream)
        finally:
            stream.close()
        return bytes(content)

    def read_part(self, uri: str, start: int, length: int) -> bytes:
        """``length`` bytes from ``start`` on; there must be as many."""
        stream = self._file_system(uri).open(self._path(uri))
        try:
            stream.seek(start)
            content: bytes = self._io_utils.toByteArray(stream, length)
        finally:
            stream.close()
        return bytes(content)

    def write_bytes(self, uri: str, content: bytes) -> FileDigest:
        """Write the file, over an older one if there is one."""
        stream = self._file_system(uri).create(self._path(uri), OVERWRITE)
        try:
            for start in range(0, len(content), WRITE_BYTES):
                stream.write(bytearray(content[start : start + WRITE_BYTES]))
        finally:
            stream.close()
        return FileDigest(sha256=hashlib.sha256(content).hexdigest(), size=len(content))

    def remove(self, uri: str) -> None:
        """Remove the file or folder; none there is fine."""
        self._file_system(uri).delete(self._path(uri), RECURSIVE)

    def files_in(self, folder: str) -> dict[str, StoredFile]:
        """By name, the files that lie directly in ``folder``; none where there is no such folder."""
        try:
            statuses = self._file_system(folder).listStatus(self._path(folder))
        except Py4JJavaError as error:
            if java_class(error) == "java.io.FileNotFoundException":
                return {}
            raise
        return {
            each.getPath().getName(): StoredFile(each.getLen(), _etag(each))
            for each in statuses
            if each.isFile()
        }

    def digests_below(self, folder: str) -> dict[str, FileDigest]:
        """Path relative to ``folder`` → digest, of every file below it; the bytes stay in the JVM."""
        file_system = self._file_system(folder)
        root = file_system.makeQualified(self._path(folder)).toUri().getPath().rstrip("/") + "/"
        files = file_system.listFiles(self._path(folder), RECURSIVE)
        digests = {}
        while files.hasNext():
            status = files.next()
            name = status.getPath().toUri().getPath()[len(root) :]
            digests[name] = FileDigest(sha256=self._sha256(file_system, status), size=status.getLen())
        return digests

    def _sha256(self, file_system: Any, status: Any) -> str:
        stream = file_system.open(status.getPath())
        try:
            return str(self._digest_utils.sha256Hex(stream))
        finally:
            stream.close()

    def _file_system(self, uri: str) -> Any:
        return self._path(uri).getFileSystem(self._configuration)


def _etag(status: Any) -> str | None:
    try:
        etag: str | None = status.getEtag()
    # S3A's status has the method; that of a disk, or of another connector, may have none
    except Py4JError:
        return None
    return etag.strip('"') if etag else None


def encode_json(document: dict[str, Any]) -> bytes:
    """UTF-8, keys sorted; raises ValueError for a number that JSON does not have."""
    return json.dumps(document, sort_keys=True, allow_nan=False, ensure_ascii=False).encode() + b"\n"


def java_class(error: Py4JJavaError) -> str:
    """Name of the Java exception's class."""
    return str(error.java_exception.getClass().getName())
