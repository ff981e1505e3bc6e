"""Which Spark a release runs on, where Sparks are found, and what is refused by name for lack of one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from local_aws.steps.spark_files import find_s3a_jars
from local_aws.steps.sparks import NoSuchSparkError, find_sparks, refusal, spark_of_release


def spark_home(folder: Path, full_version: str) -> Path:
    (folder / "jars").mkdir(parents=True)
    (folder / "jars" / f"spark-core_2.13-{full_version}.jar").touch()
    return folder


def environment(folder: Path, full_version: str) -> Path:
    spark_home(folder / "lib" / "python3.12" / "site-packages" / "pyspark", full_version)
    (folder / "bin").mkdir()
    (folder / "bin" / "python").touch()
    # PySpark puts one into its environment, too: the folder is no SPARK_HOME for it
    (folder / "bin" / "spark-submit").touch()
    return folder


@pytest.mark.parametrize(
    ("label", "version"),
    [
        ("emr-7.0.0", "3.5"),
        ("emr-7.13.0", "3.5"),
        ("emr-spark-8.0.0", "4.0"),
        ("emr-spark-8.0-preview", "4.0"),
        ("emr-6.15.0", None),
        ("emr-8.0.0", None),
        ("emr-7.13", None),
    ],
)
def test_a_release_stands_for_one_spark(label: str, version: str | None) -> None:
    assert spark_of_release(label) == version


def test_an_environment_brings_its_own_python_and_a_spark_home_takes_ours(tmp_path: Path) -> None:
    given = {
        "4.0": environment(tmp_path / "venv", "4.0.5"),
        "3.5": spark_home(tmp_path / "spark", "3.5.6-amzn-0"),
    }
    sparks = find_sparks(given, python="/ours")
    assert sparks["4.0"].full_version == "4.0.5"
    assert sparks["4.0"].python == str(tmp_path / "venv" / "bin" / "python")
    assert (sparks["3.5"].full_version, sparks["3.5"].python) == ("3.5.6-amzn-0", "/ours")


def test_a_place_without_spark_or_with_another_is_named(tmp_path: Path) -> None:
    with pytest.raises(NoSuchSparkError, match=f"{tmp_path} holds no Spark"):
        find_sparks({"4.0": tmp_path}, python="/ours")
    other = spark_home(tmp_path / "other", "4.1.0")
    with pytest.raises(NoSuchSparkError, match=r"--spark 4\.0=.*: that is Spark 4\.1\.0"):
        find_sparks({"4.0": other}, python="/ours")


def test_a_spark_that_is_not_here_is_refused_with_what_would_help(tmp_path: Path) -> None:
    sparks = find_sparks({"3.5": spark_home(tmp_path / "spark", "3.5.9")}, python="/ours")
    sentence = refusal("emr-spark-8.0.0", sparks)
    assert sentence is not None
    assert "emr-spark-8.0.0: it needs Spark 4.0, and the Sparks here are: 3.5" in sentence
    assert "--spark 4.0=PATH" in sentence
    assert refusal("emr-7.13.0", sparks) is None


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({"ReleaseLabel": "emr-6.15.0"}, r"release label is invalid: emr-6\.15\.0"),
        (
            {"Configurations": [{"Classification": "spark-defautls", "Properties": {}}]},
            r"classification 'spark-defautls' of Configurations\[0\]",
        ),
        (
            {"Configurations": [{"Classification": "spark-env", "Properties": {"A": "b"}}]},
            "nested classification 'export'",
        ),
        (
            {
                "Configurations": [
                    {"Classification": "core-site", "Configurations": [{"Classification": "export"}]}
                ]
            },
            "classification 'export' within core-site",
        ),
        (
            {
                "Instances": {
                    "InstanceGroups": [
                        {"InstanceRole": "MASTER", "InstanceType": "m5.xlarge", "InstanceCount": 1},
                        {
                            "InstanceRole": "CORE",
                            "InstanceType": "m5.xlarge",
                            "InstanceCount": 1,
                            "Configurations": [
                                {"Classification": "spark-defaults", "Properties": {"a": "b"}}
                            ],
                        },
                    ]
                }
            },
            r"Instances\.InstanceGroups\[1\]\.Configurations",
        ),
        (
            {
                "Instances": {
                    "InstanceFleets": [
                        {
                            "InstanceFleetType": "MASTER",
                            "TargetOnDemandCapacity": 1,
                            "InstanceTypeConfigs": [
                                {
                                    "InstanceType": "m5.xlarge",
                                    "Configurations": [
                                        {"Classification": "core-site", "Properties": {"a": "b"}}
                                    ],
                                }
                            ],
                        }
                    ]
                }
            },
            r"Instances\.InstanceFleets\[0\]\.InstanceTypeConfigs\[0\]\.Configurations",
        ),
    ],
)
def test_what_no_step_could_honour_is_refused_at_launch(
    aws: Any, members: dict[str, Any], words: str
) -> None:
    with pytest.raises(aws.emr.exceptions.ClientError, match=words) as refused:
        aws.launch(**members)
    assert refused.value.response["Error"]["Code"] == "ValidationException"


def test_jars_of_s3a_lie_by_version(tmp_path: Path) -> None:
    (tmp_path / "3.5").mkdir()
    (tmp_path / "4.0").mkdir()
    (tmp_path / "3.5" / "hadoop-aws-3.3.4.jar").touch()
    assert find_s3a_jars(tmp_path) == {"3.5": (tmp_path / "3.5" / "hadoop-aws-3.3.4.jar",)}
    assert find_s3a_jars(tmp_path / "none") == {}


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (("--spark", "4.0"), 2, "4.0 is no Spark: VERSION=PATH is accepted"),
        (("--spark", "4.0=/nowhere"), 1, "/nowhere holds no Spark"),
        (("--s3a-jars", "/nowhere"), 2, "/nowhere is no folder"),
        (("--s3a-jars", "."), 1, "`make fidelity` fetches them"),
    ],
)
def test_a_setting_that_leads_nowhere_is_said_at_the_start(
    tmp_path: Path, options: tuple[str, ...], code: int, words: str
) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "local_aws", "--port", "0", "--root", str(tmp_path), *options],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == code
    assert words in " ".join(ended.stderr.split())
    assert "Traceback" not in ended.stderr
