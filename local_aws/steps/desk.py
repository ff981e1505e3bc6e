"""The folders behind a step's `s3://`: filled from S3 before the step, carried back to S3 after it.

A desk is one folder a running step has to itself, `<desk>/files/<bucket>/<key>`. There are as many desks as
steps ever ran at once. A desk is kept, so the next step that sits down at it only fetches what changed since. The files
are plain copies and never links: Hadoop's local file system overwrites in place, so a link would let one
step change what another one reads.

Every file is remembered with the ETag it came with and with its size and time on disk. What differs from that
after the step is what the step wrote.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from threading import Lock
from typing import Any, NamedTuple

from boto3.s3.transfer import TransferConfig

_ONE_THREAD = TransferConfig(use_threads=False)


class ObjectName(NamedTuple):
    bucket: str
    key: str


@dataclass(frozen=True)
class Kept:
    """A file as it lay on the desk when it was last the same as in S3."""

    etag: str
    size: int
    modified_ns: int


@dataclass(frozen=True)
class Filled:
    buckets: Mapping[str, Path]
    fetched: int
    fetched_bytes: int
    # keys that no file can stand for
    left_out: tuple[ObjectName, ...]


@dataclass(frozen=True)
class CarriedBack:
    written: int
    written_bytes: int
    deleted: int


class Desk:
    def __init__(self, folder: Path, client: Any) -> None:
        self._files = folder / "files"
        self._incoming = folder / "incoming"
        self._index_file = folder / "index.json"
        self._client = client
        self._index = self._read_index()

    def fill(self) -> Filled:
        """Make the files the same as S3 is now: every bucket, every object."""
        for folder in (self._files, self._incoming):
            folder.mkdir(parents=True, exist_ok=True)
        buckets = [bucket["Name"] for bucket in self._client.list_buckets()["Buckets"]]
        remote = {name: etag for bucket in buckets for name, etag in self._listing(bucket)}
        left_out = tuple(sorted(_left_out(remote)))
        for name in left_out:
            del remote[name]
        self._remove_all_but(remote)
        missing = [name for name in sorted(remote) if name not in self._index]
        fetched_bytes = sum(self._fetch(name) for name in missing)
        self._write_index()
        folders = {bucket: self._files / bucket for bucket in buckets}
        for folder in folders.values():
            folder.mkdir(exist_ok=True)
        return Filled(folders, len(missing), fetched_bytes, left_out)

    def carry_back(self, unfinished: frozenset[Path] = frozenset()) -> CarriedBack:
        """Bring to S3 what was written, overwritten and deleted; `unfinished` files were never closed."""
        found = self._found()
        changed = {
            name: status
            for name, status in found.items()
            if not self._is_kept(name, status) and _belongs_in_s3(name) and self._path(name) not in unfinished
        }
        # the last file to be written is the last to be seen, as where each is put when it is closed
        in_order = sorted(changed, key=lambda name: (changed[name].st_mtime_ns, name))
        for name in in_order:
            self._put(name)
        deleted = [name for name in self._index if name not in found]
        for name in deleted:
            self._client.delete_object(Bucket=name.bucket, Key=name.key)
            del self._index[name]
        self._write_index()
        return CarriedBack(len(changed), sum(s.st_size for s in changed.values()), len(deleted))

    def _listing(self, bucket: str) -> Iterator[tuple[ObjectName, str]]:
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=bucket)
        # others go on using S3 meanwhile: what is gone by now is simply not there
        with suppress(self._client.exceptions.NoSuchBucket):
            for page in pages:
                for found in page.get("Contents", ()):
                    yield ObjectName(bucket, found["Key"]), found["ETag"]

    def _remove_all_but(self, remote: Mapping[ObjectName, str]) -> None:
        """Clear away what S3 no longer has, or has otherwise, or what an earlier step left here."""
        for name, status in self._found().items():
            if not (self._is_kept(name, status) and remote.get(name) == self._index[name].etag):
                self._path(name).unlink()
                self._index.pop(name, None)
        self._index = {name: kept for name, kept in self._index.items() if self._path(name).exists()}
        for folder, _, _ in os.walk(self._files, topdown=False):
            if Path(folder) != self._files and not any(os.scandir(folder)):
                Path(folder).rmdir()

    def _fetch(self, name: ObjectName) -> int:
        try:
            answer = self._client.get_object(Bucket=name.bucket, Key=name.key)
        except (self._client.exceptions.NoSuchKey, self._client.exceptions.NoSuchBucket):
            return 0
        draft = self._incoming / "object"
        with draft.open("wb") as file:
            for chunk in answer["Body"].iter_chunks(1 << 20):
                file.write(chunk)
        path = self._path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        draft.replace(path)
        return self._remember(name, answer["ETag"])

    def _put(self, name: ObjectName) -> None:
        self._client.upload_file(str(self._path(name)), name.bucket, name.key, Config=_ONE_THREAD)
        self._remember(name, self._client.head_object(Bucket=name.bucket, Key=name.key)["ETag"])

    def _remember(self, name: ObjectName, etag: str) -> int:
        status = self._path(name).stat()
        self._index[name] = Kept(etag, status.st_size, status.st_mtime_ns)
        return status.st_size

    def _is_kept(self, name: ObjectName, status: os.stat_result) -> bool:
        kept = self._index.get(name)
        return kept is not None and (kept.size, kept.modified_ns) == (status.st_size, status.st_mtime_ns)

    def _found(self) -> dict[ObjectName, os.stat_result]:
        found = {}
        for folder, _, files in os.walk(self._files):
            for file in files:
                path = Path(folder, file)
                bucket, *key = path.relative_to(self._files).parts
                found[ObjectName(bucket, "/".join(key))] = path.stat()
        return found

    def _path(self, name: ObjectName) -> Path:
        return self._files / name.bucket / name.key

    def _read_index(self) -> dict[ObjectName, Kept]:
        if not self._index_file.exists():
            return {}
        rows = json.loads(self._index_file.read_text(encoding="utf-8"))
        return {ObjectName(row["bucket"], row["key"]): Kept(**row["kept"]) for row in rows}

    def _write_index(self) -> None:
        rows = [
            {"bucket": name.bucket, "key": name.key, "kept": asdict(kept)}
            for name, kept in self._index.items()
        ]
        draft = self._index_file.with_suffix(".new")
        draft.write_text(json.dumps(rows), encoding="utf-8")
        draft.replace(self._index_file)


class Desks:
    """As many desks as steps run at once; whoever takes one has it alone."""

    def __init__(self, folder: Path, client: Any) -> None:
        self._folder = folder
        self._client = client
        self._free: list[Desk] = []
        self._made = 0
        self._lock = Lock()

    @contextmanager
    def one(self) -> Iterator[Desk]:
        desk = self._take()
        try:
            yield desk
        finally:
            with self._lock:
                self._free.append(desk)

    def _take(self) -> Desk:
        with self._lock:
            if self._free:
                # the desk used last is the one that has least to fetch
                return self._free.pop()
            self._made += 1
            return Desk(self._folder / str(self._made), self._client)


def _left_out(names: Collection[ObjectName]) -> set[ObjectName]:
    """A file system has no names like `a//b`, `..` or `folder/`, and no file `a` beside a folder `a`.

    The folder stays, since a marker such as an empty object `a` may not hide what lies below it.
    """
    unnameable = {name for name in names if not _names_a_file(name.key)}
    folders = {
        ObjectName(name.bucket, str(parent))
        for name in names
        if name not in unnameable
        for parent in PurePosixPath(name.key).parents
    }
    return unnameable | (folders & set(names))


def _names_a_file(text: str) -> bool:
    key = PurePosixPath(text)
    return str(key) == text and not key.is_absolute() and ".." not in key.parts and text != "."


def _belongs_in_s3(name: ObjectName) -> bool:
    """Not what a local file system or an unfinished commit leaves behind, and S3A does not."""
    *folders, file = name.key.split("/")
    is_checksum = file.startswith(".") and file.endswith(".crc")
    return not is_checksum and "_temporary" not in folders and file != ""
