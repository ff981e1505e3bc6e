"""Earlier versions are scored on the very same rows, and one that cannot be is told of and fails nothing."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pyspark.sql import SparkSession

from tests.training_job.conftest import Finished, RequestMaker, write_rows
from tests.training_job.places import Place
from train_evaluate import train_and_evaluate
from training_job import comparing, doubting
from training_job.session import run_request

Run = Callable[[dict[str, Any]], Finished]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Train and test: 400 and 300 rows of 5 features, of which the first two tell the classes apart somewhat."""
    folder = tmp_path_factory.mktemp("rows")
    random = np.random.default_rng(11)
    paths = []
    for name, rows in (("train", 400), ("test", 300)):
        values = np.round(random.normal(size=(rows, 5)), 3)
        labels = random.random(rows) < 1 / (1 + np.exp(1 - 2 * values[:, 0] + values[:, 1]))
        lines = [
            f"{int(label)} " + " ".join(f"{n + 1}:{value}" for n, value in enumerate(row))
            for label, row in zip(labels, values.tolist(), strict=True)
        ]
        paths.append(write_rows(folder / f"{name}.libsvm", *lines))
    return paths[0], paths[1]


def earlier(folder: Path, **changes: Any) -> dict[str, Any]:
    version = {
        "version_id": 7,
        "training_id": "fedcba9876543210",
        "attempt": 2,
        "folder": folder.as_uri(),
        "data_date": "2026-11-20",
    }
    return {**version, **changes}


@pytest.fixture(scope="module")
def trained(
    spark: SparkSession, place: Place, files: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The folder of an earlier training, with a penalty that holds it back and a threshold of its own."""
    maker = RequestMaker(tmp_path_factory.mktemp("trained") / "attempt-2", place)
    document = maker.document([files[0]], [files[1]], num_features=5, params={"regParam": 1.0})
    document["threshold"] = {"rule": "fixed", "value": 0.3}
    assert run_request(spark, maker.write(document), train_and_evaluate) == 0
    return maker.finished(0).output


@pytest.fixture
def champion(trained: Path, tmp_path: Path) -> Path:
    """A copy to damage, without what Hadoop keeps beside a file and would find the damage by."""
    folder = tmp_path / "champion"
    shutil.copytree(trained, folder, ignore=shutil.ignore_patterns(".*.crc"))
    return folder


@pytest.fixture
def document(requests: RequestMaker, files: tuple[Path, Path]) -> dict[str, Any]:
    return requests.document([files[0]], [files[1]], num_features=5, params={"regParam": 0.001})


def test_champion_is_measured_on_the_same_rows(run: Run, document: dict[str, Any], champion: Path) -> None:
    document["champion"] = earlier(champion)
    metrics = run(document).json("metrics.json")
    found = metrics["comparisons"]["champion"]
    assert {name: found[name] for name in ("version_id", "training_id", "attempt", "data_date")} == {
        "version_id": 7,
        "training_id": "fedcba9876543210",
        "attempt": 2,
        "data_date": "2026-11-20",
    }
    # what it was when it was trained, with its own threshold
    of_champion = json.loads((champion / "metrics.json").read_text())["metrics"]["test"]
    # said of the rows and the new model's train, not of a model
    del of_champion["share_seen_in_train"]
    assert found["metrics"] == pytest.approx(of_champion, rel=1e-12)
    assert metrics["comparisons"]["best_recent"] is None
    newest = metrics["metrics"]["test"]
    for name in ("log_loss", "auc"):
        difference = found["differences"][name]
        assert difference["value"] == pytest.approx(newest[name] - of_champion[name], abs=1e-12)
        assert difference["low"] < difference["value"] < difference["high"]
        assert (difference["level"], difference["rows"], difference["groups"]) == (0.95, 300, None)
    # the penalty shrinks the champion towards the base rate
    assert found["differences"]["log_loss"]["high"] < 0
    assert found["differences"]["positive_rate"]["value"] == pytest.approx(
        newest["positive_rate"] - of_champion["positive_rate"]
    )
    interval = metrics["intervals"]["test"]["auc"]
    assert interval["value"] == newest["auc"]
    assert 0 < interval["standard_error"] < 0.05


def test_version_in_both_roles_is_compared_once_and_told_twice(
    run: Run, document: dict[str, Any], champion: Path
) -> None:
    document["champion"] = document["best_recent"] = earlier(champion)
    found = run(document).json("metrics.json")["comparisons"]
    assert found["champion"] == found["best_recent"]


def test_two_versions_are_not_mixed_up(run: Run, document: dict[str, Any], champion: Path) -> None:
    again = champion.parent / "again"
    shutil.copytree(champion, again)
    artifact = json.loads((again / "artifact.json").read_text())
    (again / "artifact.json").write_text(json.dumps({**artifact, "threshold": 0.9}))
    document["champion"] = earlier(champion)
    document["best_recent"] = earlier(again, version_id=6)
    found = run(document).json("metrics.json")["comparisons"]
    assert found["champion"]["metrics"]["auc"] == found["best_recent"]["metrics"]["auc"]
    assert found["champion"]["metrics"]["positive_rate"] > found["best_recent"]["metrics"]["positive_rate"]
    assert (found["champion"]["version_id"], found["best_recent"]["version_id"]) == (7, 6)


def break_model(folder: Path) -> None:
    shutil.rmtree(folder / "model")


def break_artifact(folder: Path) -> None:
    (folder / "artifact.json").write_text("{")


def empty_artifact(folder: Path) -> None:
    (folder / "artifact.json").write_text("{}")


@pytest.mark.parametrize("damage", [shutil.rmtree, break_model, break_artifact, empty_artifact])
def test_champion_that_cannot_be_loaded_is_a_warning(
    run: Run, document: dict[str, Any], champion: Path, damage: Callable[[Path], None]
) -> None:
    document["champion"] = earlier(champion)
    damage(champion)
    finished = run(document)
    assert finished.exit_code == 0
    metrics = finished.json("metrics.json")
    assert metrics["comparisons"] == {"champion": None, "best_recent": None}
    told = [each for each in metrics["warnings"] if each["code"] == "champion_unreadable"]
    assert "version 7 (champion)" in told[0]["sentence"]


@pytest.mark.parametrize(
    ("module", "name"), [(comparing, "load_model"), (doubting, "profile_of")], ids=["model", "profile"]
)
def test_want_of_memory_beside_a_champion_is_no_warning(
    run: Run,
    document: dict[str, Any],
    champion: Path,
    monkeypatch: pytest.MonkeyPatch,
    module: Any,
    name: str,
) -> None:
    def too_large(*_: Any) -> None:
        raise RuntimeError("java.lang.OutOfMemoryError: Java heap space")

    monkeypatch.setattr(module, name, too_large)
    document["champion"] = earlier(champion)
    assert run(document).failure["code"] == "out_of_memory"


@pytest.mark.parametrize(("field", "value"), [("feature_space", "hotels-v2"), ("num_features", 6)])
def test_champion_of_other_features_is_not_compared(
    run: Run, document: dict[str, Any], champion: Path, field: str, value: Any
) -> None:
    path = champion / "artifact.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), field: value}))
    document["champion"] = earlier(champion)
    metrics = run(document).json("metrics.json")
    assert metrics["comparisons"]["champion"] is None
    (told,) = [each for each in metrics["warnings"] if each["code"] == "champion_not_comparable"]
    assert f"has {field} {value!r}" in told["sentence"]


def test_version_without_a_field_is_a_bad_request(run: Run, document: dict[str, Any]) -> None:
    document["champion"] = {"version_id": 7}
    failure = run(document).failure
    assert failure["code"] == "bad_request"
    assert "champion.training_id is missing" in failure["sentence"]


def test_drift_since_the_champion_is_told(run: Run, document: dict[str, Any], champion: Path) -> None:
    profile = json.loads((champion / "profile.json").read_text())
    assert profile["rows"] == 400
    # as if the first feature had been one standard deviation lower, and positives rarer
    profile["features"]["sum"][0] -= 400
    profile["features"]["sum_of_squares"][0] += 400
    profile["base_rate"] /= 2
    (champion / "profile.json").write_text(json.dumps(profile))
    document["champion"] = earlier(champion)
    warnings = {each["code"]: each for each in run(document).json("metrics.json")["warnings"]}
    assert set(warnings) == {"base_rate_drift", "feature_drift"}
    assert warnings["feature_drift"]["value"] == 1
    assert "feature 1 (+" in warnings["feature_drift"]["sentence"]
    assert warnings["base_rate_drift"]["value"] == pytest.approx(profile["base_rate"])


def test_champion_without_a_profile_is_compared_all_the_same(
    run: Run, document: dict[str, Any], champion: Path
) -> None:
    (champion / "profile.json").unlink()
    document["champion"] = earlier(champion)
    metrics = run(document).json("metrics.json")
    assert [each["code"] for each in metrics["warnings"]] == ["profile_unreadable"]
    assert metrics["comparisons"]["champion"] is not None
