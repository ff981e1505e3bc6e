"""An artifact of ten million coefficients, in a process that may take 1 GB and not a byte more."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest

from trainyard.scoring.large_json import loads

COEFFICIENTS = 10_000_000

# the folder is read as publishing reads it, by an S3 that hands out the files of this disk
CHECK = """
import resource, sys
from pathlib import Path
from benchmarks.publish.folders import FolderS3
from trainyard.publishing import training_folder
from trainyard.publishing.formats import File, Manifest
from trainyard.publishing.s3_folder import S3Folder
from trainyard.publishing.spool import Spool

gigabyte = 1 << 30
# no thread's stack counts as memory that is used
resource.setrlimit(resource.RLIMIT_DATA, (gigabyte, gigabyte))
root, sha256, size = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
identity = dict(deployment="d", portfolio="p", model="m", data_date="2026-11-22", training_id="a" * 16, attempt=1)
manifest = Manifest(
    status="succeeded",
    training=identity,
    request_sha256="a" * 64,
    files={"artifact.json.gz": File(sha256=sha256, size=size)},
)
with Spool() as spool:
    folder = S3Folder(FolderS3(root), "s3://bucket/folder/", spool)
    artifact, sha256, kept = training_folder._artifact(folder, manifest, "artifact.json.gz")
print(artifact.num_features, kept, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, int]:
    """A folder with the artifact in it, its sha256 and its size."""
    root = tmp_path_factory.mktemp("s3")
    file = root / "bucket" / "folder" / "artifact.json.gz"
    file.parent.mkdir(parents=True)
    head = {
        "format_version": 2,
        "kind": "logistic_regression",
        "score_kind": "probability",
        "num_features": COEFFICIENTS,
        "feature_space": "wide",
        "threshold": 0.5,
        "lineage": {},
    }
    # what is drawn once and repeated is as long in memory as what is drawn anew
    values = ", ".join(map(repr, np.random.default_rng(1).normal(0, 0.1, 100_000).tolist()))
    compressor = zlib.compressobj(1, zlib.DEFLATED, zlib.MAX_WBITS | 16)
    with file.open("wb") as out:
        out.write(
            compressor.compress(f'{json.dumps(head)[:-1]}, "parameters": {{"intercept": -2.0, '.encode())
        )
        out.write(compressor.compress(b'"coefficients": {"indices": ['))
        for start in range(0, COEFFICIENTS, 1_000_000):
            text = ", ".join(map(str, range(start, start + 1_000_000)))
            out.write(compressor.compress((", " if start else "").encode() + text.encode()))
        out.write(compressor.compress(b'], "values": ['))
        for number in range(COEFFICIENTS // 100_000):
            out.write(compressor.compress((", " if number else "").encode() + values.encode()))
        out.write(compressor.compress(b"]}}}"))
        out.write(compressor.flush())
    content = file.read_bytes()
    return root, hashlib.sha256(content).hexdigest(), len(content)


def test_ten_million_coefficients_are_checked_within_a_gigabyte(artifact: tuple[Path, str, int]) -> None:
    root, sha256, size = artifact
    done = subprocess.run(
        [sys.executable, "-c", CHECK, str(root), sha256, str(size)],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    features, *_, peak_mb = done.stdout.split()
    assert int(features) == COEFFICIENTS
    assert int(peak_mb) < 1024


@pytest.mark.parametrize("numbers", [[0.5] * 3000, list(range(5000)), [1, 2.5, -3e-5] * 2000])
def test_long_arrays_are_read_as_pythons_own_reader_does(numbers: list[float]) -> None:
    document = {"text": "[1, 2", "parameters": {"values": numbers, "short": [1, 2]}, "more": [numbers, "x"]}
    found = loads(json.dumps(document).encode())
    assert found["parameters"]["values"].tolist() == numbers
    assert found["more"][0].tolist() == numbers
    assert (found["text"], found["parameters"]["short"]) == ("[1, 2", [1, 2])


@pytest.mark.parametrize(
    "array",
    [
        "[1,,2" + ",3" * 4000 + "]",
        "[1" + ",3" * 4000 + ",]",
        "[1" + ",3" * 4000 + ",01]",
        "[" + "9" * 5000 + "]",
    ],
)
def test_what_is_no_json_or_only_looks_like_a_long_array_is_refused(array: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 (json's own words)
        loads(f'{{"values": {array}}}'.encode())
