"""The training job's source → a script and an archive in S3, under the hash of their content."""

from __future__ import annotations

import hashlib
import io
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainyard.job_flow import JobCode
from trainyard.training import S3Uri, Sha256, code_folder, split_uri

SCRIPT = "train_evaluate.py"
INSTALL_WHEELS = "install_wheels.sh"
PACKAGE = "training_job"
# the archive's hash must come from its content, so every file in it has the first date that zip knows
_EPOCH = (1980, 1, 1, 0, 0, 0)


class JobCodeMissingError(Exception):
    """The folder ``spark_jobs`` does not lie beside the plugin package."""


@dataclass(frozen=True)
class JobSource:
    """The job's code as bytes, with the sha256 of all of it together."""

    script: bytes
    archive: bytes
    install_wheels: bytes

    @property
    def sha256(self) -> Sha256:
        digest = hashlib.sha256()
        for part in (self.script, self.archive, self.install_wheels):
            digest.update(hashlib.sha256(part).digest())
        return Sha256(digest.hexdigest())


def read_job_source() -> JobSource:
    """The script and its package, from ``spark_jobs`` beside the plugins folder or inside it (as in plugins.zip)."""
    folder = _source_folder()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression=zipfile.ZIP_STORED) as archive:
        for path in sorted((folder / PACKAGE).rglob("*.py")):
            name = path.relative_to(folder).as_posix()
            archive.writestr(zipfile.ZipInfo(name, date_time=_EPOCH), path.read_bytes())
    return JobSource(
        script=(folder / SCRIPT).read_bytes(),
        archive=buffer.getvalue(),
        install_wheels=(folder / INSTALL_WHEELS).read_bytes(),
    )


def staged_code(output_root: str, sha256: Sha256) -> JobCode:
    """Where the code of that hash lies for clusters to read."""
    folder = code_folder(output_root, sha256)
    return JobCode(
        script=S3Uri(f"{folder}{SCRIPT}"),
        py_files=S3Uri(f"{folder}{PACKAGE}.zip"),
        install_wheels=S3Uri(f"{folder}{INSTALL_WHEELS}"),
    )


def stage_job_source(s3: Any, source: JobSource, *, output_root: str) -> JobCode:
    """Put the code where clusters read it; content that lies there already is left alone.

    :param s3: a boto3 S3 client
    """
    code = staged_code(output_root, source.sha256)
    bucket, prefix = split_uri(code_folder(output_root, source.sha256))
    present = {item["Key"] for item in s3.list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", ())}
    for uri, content in (
        (code.script, source.script),
        (code.py_files, source.archive),
        (code.install_wheels, source.install_wheels),
    ):
        key = split_uri(uri)[1]
        if key not in present:
            s3.put_object(Bucket=bucket, Key=key, Body=content)
    return code


def _source_folder() -> Path:
    plugins = Path(__file__).resolve().parents[1]
    candidates = (plugins.parent / "spark_jobs", plugins / "spark_jobs")
    for folder in candidates:
        if (folder / SCRIPT).is_file():
            return folder
    raise JobCodeMissingError(f"the job's code is in neither {candidates[0]} nor {candidates[1]}")
