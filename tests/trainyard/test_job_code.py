from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from uuid import uuid4

import boto3

from trainyard.job_code import read_job_source, stage_job_source

ROOT = Path(__file__).parents[2]
PRINT_HASH = "from trainyard.job_code import read_job_source; print(read_job_source().sha256)"


def hash_in(plugins: Path) -> str:
    environment = {**os.environ, "PYTHONPATH": str(plugins)}
    command = [sys.executable, "-c", PRINT_HASH]
    return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout.strip()


def test_the_archive_holds_the_package_that_the_script_imports() -> None:
    names = zipfile.ZipFile(io.BytesIO(read_job_source().archive)).namelist()
    assert "training_job/__init__.py" in names
    assert "training_job/session.py" in names
    assert all(name.startswith("training_job/") and name.endswith(".py") for name in names)


def test_the_hash_goes_by_content_not_by_place_or_time(tmp_path: Path) -> None:
    """The same code inside the plugins folder, as plugins.zip has it, with other times on its files."""
    shutil.copytree(ROOT / "plugins", tmp_path / "plugins")
    shutil.copytree(ROOT / "spark_jobs", tmp_path / "plugins" / "spark_jobs")
    for path in (tmp_path / "plugins" / "spark_jobs").rglob("*.py"):
        os.utime(path, (0, 0))
    assert hash_in(tmp_path / "plugins") == read_job_source().sha256
    script = tmp_path / "plugins" / "spark_jobs" / "train_evaluate.py"
    script.write_text(script.read_text() + "# changed\n")
    assert hash_in(tmp_path / "plugins") != read_job_source().sha256


def test_code_that_is_staged_already_is_left_alone(local_aws_url: str) -> None:
    s3 = boto3.client(
        "s3",
        endpoint_url=local_aws_url,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    bucket = f"code-{uuid4().hex[:8]}"
    s3.create_bucket(Bucket=bucket)
    puts: list[str] = []
    s3.meta.events.register("before-call.s3.PutObject", lambda **_: puts.append("put"))
    source = read_job_source()
    first = stage_job_source(s3, source, output_root=f"s3://{bucket}/models")
    assert len(puts) == 3
    assert stage_job_source(s3, source, output_root=f"s3://{bucket}/models") == first
    assert len(puts) == 3
    key = first.script.removeprefix(f"s3://{bucket}/")
    assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == source.script
