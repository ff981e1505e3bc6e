"""The request is the contract with the job: compared with a golden file; UPDATE_GOLDEN=1 writes it anew."""

from __future__ import annotations

import json
import os
from datetime import date, datetime, timezone
from pathlib import Path

from training_job.request import parse_request
from trainyard.inputs import InputObject
from trainyard.portfolio import Model
from trainyard.request import Comparables, Inputs, Lineage, OldVersion, training_request
from trainyard.training import S3Uri, Sha256, Training, TrainingId

GOLDEN = Path(__file__).parents[1] / "golden" / "request.json"


def request() -> bytes:
    model = Model.model_validate(
        {
            "name": "hotels",
            "inputs": {"train": "s3://features/hotels/train/", "test": "s3://features/hotels/test/"},
            "num_features": 202,
            "label_mapping": {"-1": 0, "1": 1},
            "learner": {"params": {"regParam": 0.0001}},
            "threshold": {"value": 0.2},
            "cluster": {
                "log_uri": "s3://output/logs/",
                "primary": {"instance_type": "m7g.large"},
                "core": {"instance_type": "m7g.xlarge", "count": 2},
            },
        }
    )
    training = Training(
        deployment="laptop",
        portfolio="demo",
        model="hotels",
        data_date=date(2026, 11, 22),
        dag_id="demo",
        run_id="scheduled__2026-11-23T02:00:00+00:00",
        output_root="s3://output/models",
    )
    return training_request(
        training=training,
        attempt=2,
        model=model,
        inputs=Inputs(
            train=[InputObject(S3Uri("s3://features/hotels/train/part-0"), 123, "a1")],
            validation=None,
            test=[InputObject(S3Uri("s3://features/hotels/test/part-0"), 45, "b2")],
        ),
        lineage=Lineage(code_sha256=Sha256("c" * 64), portfolio_sha256=Sha256("d" * 64)),
        deadline=datetime(2026, 11, 23, 5, 0, tzinfo=timezone.utc),
        comparables=Comparables(champion=_served(7), best_recent=_served(3), serving=7),
    )


def _served(version_id: int) -> OldVersion:
    training_id = TrainingId(f"{version_id:016x}")
    folder = f"s3://output/models/trainings/demo/hotels/2026-11-21/{training_id}/attempt-1/"
    return OldVersion(version_id, training_id, attempt=1, data_date=date(2026, 11, 21), folder=folder)


def test_the_request_is_the_golden_one() -> None:
    if os.environ.get("UPDATE_GOLDEN"):
        GOLDEN.write_bytes(request() + b"\n")
    assert json.loads(request()) == json.loads(GOLDEN.read_bytes())


def test_the_job_reads_what_is_written() -> None:
    """Both sides of the wall hold to one contract, though neither imports the other."""
    read = parse_request(request())
    assert read.training.model == "hotels"
    assert read.num_features == 202
    assert read.inputs.test[0].size == 45
    assert {role: version.version_id for role, version in read.earlier_versions.items()} == {
        "champion": 7,
        "best_recent": 3,
    }
