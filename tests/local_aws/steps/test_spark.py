"""What becomes of a cluster's spark-submit on this machine, and what is said about it."""

from __future__ import annotations

from pathlib import Path

import pytest

from local_aws.steps.failures import Cause, find_cause
from local_aws.steps.hadoop import folders, s3a
from local_aws.steps.spark import (
    LocalSpark,
    SparkArgumentError,
    SparkCommand,
    local_command,
    parse_spark_submit,
)

MACHINE = LocalSpark(
    spark_home=Path("/spark"),
    java_home=Path("/java"),
    python="/python",
    master="local[2]",
    driver_memory="1g",
    java_options="-XX:+UseParallelGC",
)


def command(*args: str, **defaults: str) -> SparkCommand:
    return local_command(
        parse_spark_submit(args),
        configurations=[{"Classification": "spark-defaults", "Properties": defaults}],
        machine=MACHINE,
        hadoop=folders({"my.bucket": Path("/desk/my.bucket")}),
        folder=Path("/step"),
    )


def test_the_arguments_after_the_application_are_the_jobs_own() -> None:
    submit = parse_spark_submit(
        ["--verbose", "--conf", "a=b", "--name=x", "s3://b/job.py", "--master", "yarn", "--conf"]
    )
    assert submit.options == (("--verbose", None), ("--conf", "a=b"), ("--name", "x"))
    assert submit.application == "s3://b/job.py"
    assert submit.application_args == ("--master", "yarn", "--conf")


def test_what_this_machine_decides_comes_last_and_is_told() -> None:
    made = command(
        *("--master", "yarn", "--deploy-mode", "cluster", "--num-executors", "4", "--driver-memory", "30g"),
        *("--conf", "spark.dynamicAllocation.enabled=true", "--conf", "spark.yarn.maxAppAttempts=1"),
        *("s3://b/job.py", "--master", "mine"),
    )
    line = " ".join(made.argv)
    assert line.startswith(
        "/spark/bin/spark-submit --num-executors 4 --conf spark.yarn.maxAppAttempts=1 --master"
    )
    assert "--master local[2] --deploy-mode client --driver-memory 1g" in line
    assert "--conf spark.dynamicAllocation.enabled=false" in line
    assert line.endswith("s3://b/job.py --master mine")
    assert [note for note in made.notes if "does not apply" in note] == [
        "local_aws: --master yarn does not apply on this machine",
        "local_aws: --deploy-mode cluster does not apply on this machine",
        "local_aws: --driver-memory 30g does not apply on this machine",
        "local_aws: --conf spark.dynamicAllocation.enabled=true does not apply on this machine",
    ]


def test_spark_defaults_reach_the_driver_but_for_what_cannot_apply() -> None:
    configurations = [
        {"Classification": "spark-defaults", "Properties": {"spark.a": "C:\\x", "spark.driver.memory": "9g"}},
        {"Classification": "spark", "Properties": {"maximizeResourceAllocation": "true"}},
    ]
    made = local_command(
        parse_spark_submit(["job.py"]),
        configurations=configurations,
        machine=MACHINE,
        hadoop=folders({}),
        folder=Path("/step"),
    )
    assert made.files[Path("/step/conf/spark-defaults.conf")] == "spark.a C:\\\\x\n"
    assert "local_aws: spark-defaults spark.driver.memory=9g does not apply on this machine" in made.notes


ELSEWHERE = {
    "fs.s3a.endpoint": "https://s3.amazonaws.com",
    "fs.s3a.bucket.mine.endpoint": "https://s3.amazonaws.com",
    "fs.s3a.aws.credentials.provider": "com.amazonaws.auth.profile.ProfileCredentialsProvider",
    "fs.s3a.access.key": "AKIA",
    "fs.s3a.secret.key": "secret",
    "fs.s3.impl": "org.apache.hadoop.fs.s3a.S3AFileSystem",
}


@pytest.mark.parametrize("name", ELSEWHERE)
def test_no_step_points_s3_at_another_endpoint_or_at_other_keys(name: str) -> None:
    conf, kept = f"spark.hadoop.{name}={ELSEWHERE[name]}", "spark.hadoop.fs.s3a.threads.max=8"
    for options in (("--conf", conf), ("-c", conf), (f"--conf={conf}",)):
        made = command(*options, "--conf", kept, "job.py")
        assert conf not in " ".join(made.argv)
        assert kept in made.argv
        assert any(f"{conf} does not apply on this machine" in note for note in made.notes)
    made = command(
        "job.py", **{f"spark.hadoop.{name}": ELSEWHERE[name], "spark.hadoop.fs.s3a.threads.max": "8"}
    )
    defaults = made.files[Path("/step/conf/spark-defaults.conf")]
    assert defaults == "spark.hadoop.fs.s3a.threads.max 8\n"
    assert f"local_aws: spark-defaults {conf} does not apply on this machine" in made.notes
    made = local_command(
        parse_spark_submit(["job.py"]),
        configurations=[{"Classification": "core-site", "Properties": {name: ELSEWHERE[name]}}],
        machine=MACHINE,
        hadoop=folders({}),
        folder=Path("/step"),
    )
    assert ELSEWHERE[name] not in made.files[Path("/step/conf/core-site.xml")]
    assert f"local_aws: core-site {name}={ELSEWHERE[name]} does not apply on this machine" in made.notes


def test_every_bucket_is_a_folder_to_hadoop() -> None:
    site = command("job.py").files[Path("/step/conf/core-site.xml")]
    assert (
        "<name>fs.viewfs.mounttable.my.bucket.linkFallback</name><value>raw:///desk/my.bucket</value>" in site
    )


def test_a_garbage_collector_the_step_chose_is_not_joined_by_ours() -> None:
    ours = command("job.py").environment["SPARK_SUBMIT_OPTS"]
    theirs = command("--conf", "spark.driver.extraJavaOptions=-XX:+UseG1GC", "job.py")
    assert "-XX:+UseParallelGC" in ours
    assert "UseParallelGC" not in theirs.environment["SPARK_SUBMIT_OPTS"]


@pytest.mark.parametrize(
    ("args", "words"),
    [([], "names no application"), (["--conf"], "--conf has no value"), (["--version"], "submits nothing")],
)
def test_what_spark_submit_would_refuse_is_refused(args: list[str], words: str) -> None:
    with pytest.raises(SparkArgumentError, match=words):
        parse_spark_submit(args)


TRACEBACK = [
    "epoch 1",
    "Traceback (most recent call last):",
    '  File "job.py", line 3',
    "ValueError: no rows",
]
JVM = ["26/11/23 INFO x", 'Exception in thread "main" java.io.IOException: File /desks/3/files/b/k is gone']


@pytest.mark.parametrize(
    ("stdout", "stderr", "cause"),
    [
        (TRACEBACK, JVM, Cause("stdout", "ValueError: no rows")),
        (["done"], JVM, Cause("stderr", "java.io.IOException: File s3://b/k is gone")),
        ([], ["one", "no such command"], Cause("stderr", "no such command")),
        ([], [], Cause("stderr", "")),
        (
            [
                *TRACEBACK[:2],
                "py4j.protocol.Py4JJavaError: An error occurred while calling o1.load.",
                ": java.lang.X",
            ],
            [],
            Cause(
                "stdout",
                "py4j.protocol.Py4JJavaError: An error occurred while calling o1.load.: java.lang.X",
            ),
        ),
    ],
)
def test_a_failure_is_named_from_the_log_that_says_it(
    stdout: list[str], stderr: list[str], cause: Cause
) -> None:
    assert find_cause(stdout=stdout, stderr=stderr, desks_folder=Path("/desks")) == cause


def test_spark_env_and_core_site_reach_the_step_but_for_what_this_machine_decides() -> None:
    exported = {"MODEL_STAGE": "night", "PYSPARK_PYTHON": "/usr/bin/python3.11", "AWS_PROFILE": "prod"}
    configurations = [
        {
            "Classification": "spark-env",
            "Configurations": [{"Classification": "export", "Properties": exported}],
        },
        {
            "Classification": "core-site",
            "Properties": {
                "io.file.buffer.size": "65536",
                "fs.s3a.endpoint": "https://elsewhere.example.com",
            },
        },
    ]
    made = local_command(
        parse_spark_submit(["job.py"]),
        configurations=configurations,
        machine=MACHINE,
        hadoop=folders({}),
        folder=Path("/step"),
    )
    assert made.environment["MODEL_STAGE"] == "night"
    assert made.environment["PYSPARK_PYTHON"] == "/python"
    assert "AWS_PROFILE" not in made.environment
    site = made.files[Path("/step/conf/core-site.xml")]
    assert "<name>io.file.buffer.size</name><value>65536</value>" in site
    assert "elsewhere" not in site
    assert [note for note in made.notes if "spark-env" in note or "core-site" in note] == [
        "local_aws: spark-env PYSPARK_PYTHON=/usr/bin/python3.11 does not apply on this machine",
        "local_aws: spark-env AWS_PROFILE=prod does not apply on this machine",
        "local_aws: core-site fs.s3a.endpoint=https://elsewhere.example.com does not apply on this machine",
    ]


def test_the_real_s3a_gets_its_jars_last_and_no_keys_but_those_named() -> None:
    hadoop = s3a("http://127.0.0.1:1", access_key="k", secret_key="s", jars=(Path("/a.jar"), Path("/b.jar")))
    made = local_command(
        parse_spark_submit(["job.py"]),
        configurations=[],
        machine=MACHINE,
        hadoop=hadoop,
        folder=Path("/step"),
    )
    assert made.environment["SPARK_DIST_CLASSPATH"] == "/a.jar:/b.jar"
    site = made.files[Path("/step/conf/core-site.xml")]
    assert "<name>fs.s3a.endpoint</name><value>http://127.0.0.1:1</value>" in site
    assert "SimpleAWSCredentialsProvider" in site
