"""Real Spark on `s3://`: what a step reads, writes, overwrites and deletes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

JOB = """
import sys
from pyspark.sql import SparkSession
import helper

spark = SparkSession.builder.getOrCreate()
bucket = sys.argv[1]
lines = spark.read.text(f"s3://{bucket}/in/")
print("Spark", spark.version[:3])
print("lines", lines.count(), helper.ANSWER, spark.conf.get("spark.some.setting", "none"), spark.sparkContext.master)
# what was there before is replaced as a whole
lines.coalesce(1).write.mode("overwrite").text(f"s3://{bucket}/out")
if "fail" in sys.argv:
    raise ValueError("the labels are wrong")
"""


# what EMR's releases carry, and `--spark4` gives
RELEASES = {"emr-7.13.0": "3.5", "emr-spark-8.0.0": "4.0"}


@pytest.fixture(params=RELEASES)
def release(request: pytest.FixtureRequest) -> str:
    if request.param == "emr-spark-8.0.0" and not request.config.getoption("--spark4"):
        pytest.skip("no PySpark 4.0 was given by --spark4: `make test-spark4` has one")
    return str(request.param)


@pytest.fixture
def code(aws: Any, bucket: str) -> str:
    aws.put(bucket, "code/job.py", JOB)
    aws.put(bucket, "code/helper.py", "ANSWER = 42\n")
    aws.put(bucket, "in/part 1+a.txt", "one\ntwo\n")
    aws.put(bucket, "in/part-2.txt", "three\n")
    aws.put(bucket, "out/stale.txt", "from an earlier run\n")
    return bucket


def submit(step: Any, bucket: str, *more: str) -> dict[str, Any]:
    request: dict[str, Any] = step(
        "spark-submit",
        *("--deploy-mode", "cluster", "--master", "yarn", "--driver-memory", "40g"),
        *("--conf", "spark.yarn.submit.waitAppCompletion=true", "--conf=spark.executor.memory=16g"),
        *("--py-files", f"s3://{bucket}/code/helper.py", f"s3://{bucket}/code/job.py", bucket, *more),
    )
    return request


def test_a_spark_step_reads_and_writes_s3_as_on_a_cluster(
    aws: Any, code: str, step: Any, release: str
) -> None:
    settings = {"spark.some.setting": "from spark-defaults", "spark.master": "yarn"}
    cluster_id = aws.launch(
        submit(step, code),
        LogUri=f"s3://{code}/logs/",
        ReleaseLabel=release,
        Configurations=[
            {"Classification": "spark-defaults", "Properties": settings},
            {"Classification": "yarn-site", "Properties": {"yarn.nodemanager.vmem-check-enabled": "false"}},
        ],
    )
    cluster = aws.wait_for_end(cluster_id, seconds=240)
    logs = f"logs/{cluster_id}/steps/{aws.steps(cluster_id)[0]['Id']}"
    stderr = aws.text(code, f"{logs}/stderr.gz")
    assert cluster["Status"]["State"] == "TERMINATED", stderr
    assert cluster["Status"]["StateChangeReason"] == {
        "Code": "ALL_STEPS_COMPLETED",
        "Message": "Steps completed",
    }
    assert aws.text(code, f"{logs}/stdout.gz") == (
        f"Spark {RELEASES[release]}\nlines 3 42 from spark-defaults local[1]\n"
    )
    written = aws.keys(code, "out/")
    parts = [key for key in written if key.startswith("out/part-")]
    assert "".join(aws.text(code, key) for key in parts) == "one\ntwo\nthree\n"
    # the stale object is deleted; neither checksum files nor unfinished commits came along
    assert written == ["out/_SUCCESS", *parts]
    controller = aws.text(code, f"{logs}/controller.gz")
    for changed in ("--master yarn", "--deploy-mode cluster", "--driver-memory 40g", "spark.master=yarn"):
        assert f"{changed} does not apply on this machine" in controller
    assert "classification yarn-site has no effect on this machine" in controller


def test_a_failing_spark_step_says_why_and_keeps_what_it_wrote(aws: Any, code: str, step: Any) -> None:
    cluster_id = aws.launch(submit(step, code, "fail"), step("bash", "-c", "true"), LogUri=f"s3://{code}/l")
    cluster = aws.wait_for_end(cluster_id, seconds=240)
    assert cluster["Status"]["State"] == "TERMINATED_WITH_ERRORS"
    assert cluster["Status"]["StateChangeReason"]["Code"] == "STEP_FAILURE"
    failed, never_run = aws.steps(cluster_id)
    # spark-submit joins a Python driver's two streams in stdout
    log_file = f"l/{cluster_id}/steps/{failed['Id']}/stdout.gz"
    assert failed["Status"]["State"] == "FAILED"
    assert failed["Status"]["FailureDetails"] == {
        "Reason": "Unknown Error.",
        "Message": "ValueError: the labels are wrong",
        "LogFile": f"s3://{code}/{log_file}",
    }
    assert "the labels are wrong" in aws.text(code, log_file)
    assert never_run["Status"]["State"] == "CANCELLED"
    assert "out/_SUCCESS" in aws.keys(code, "out/")


CROWD = """
import sys, time
from pathlib import Path
from pyspark.sql import SparkSession, functions as F

spark = SparkSession.builder.getOrCreate()
source, target, number, meeting = sys.argv[1], sys.argv[2], int(sys.argv[3]), Path(sys.argv[4])
(meeting / str(number)).touch()
while len(list(meeting.iterdir())) < 4:
    time.sleep(0.1)
rows = spark.read.text(source).withColumn("number", F.lit(number))
for _ in range(3):
    rows.write.mode("overwrite").partitionBy("number").parquet(target)
assert spark.read.parquet(target).count() == rows.count()
"""


def test_several_spark_steps_at_once_read_the_same_and_write_their_own(
    aws: Any, bucket: str, step: Any, tmp_path: Path
) -> None:
    aws.put(bucket, "crowd.py", CROWD)
    for part in range(5):
        aws.put(bucket, f"in/part-{part}.txt", "".join(f"{part} {line}\n" for line in range(100)))
    steps = [
        step(
            *("spark-submit", f"s3://{bucket}/crowd.py", f"s3://{bucket}/in/"),
            *(f"s3://{bucket}/out/step-{number}", str(number), str(tmp_path)),
            name=f"step {number}",
            on_failure="CONTINUE",
        )
        for number in range(4)
    ]
    clusters = [
        aws.launch(*steps[:2], StepConcurrencyLevel=2),
        aws.launch(*steps[2:], StepConcurrencyLevel=2),
    ]
    for cluster_id in clusters:
        aws.wait_for_end(cluster_id, seconds=240)
        assert aws.step_states(cluster_id) == ["COMPLETED", "COMPLETED"], aws.steps(cluster_id)
    # at one moment all four of them ran: none reads or writes before it has met the others
    timelines = [one["Status"]["Timeline"] for cluster_id in clusters for one in aws.steps(cluster_id)]
    assert max(line["StartDateTime"] for line in timelines) < min(line["EndDateTime"] for line in timelines)
    for number in range(4):
        below = aws.keys(bucket, f"out/step-{number}/")
        assert f"out/step-{number}/_SUCCESS" in below
        assert any(key.startswith(f"out/step-{number}/number={number}/part-") for key in below)
        assert not [key for key in below if "_temporary" in key]


LIVE = """
import sys, time
from pyspark.sql import SparkSession

spark = SparkSession.builder.getOrCreate()
root = sys.argv[1]
spark.range(3).coalesce(1).write.csv(f"{root}from-step")
path = spark._jvm.org.apache.hadoop.fs.Path
files = path(root).getFileSystem(spark.sparkContext._jsc.hadoopConfiguration())
while not files.exists(path(f"{root}from-test")):
    time.sleep(0.2)
print("root", sorted(status.getPath().getName() for status in files.listStatus(path(root))))
"""


def test_with_the_real_s3a_a_step_and_others_see_each_other_at_once(
    aws: Any, bucket: str, step: Any, until: Any, pytestconfig: pytest.Config
) -> None:
    if not pytestconfig.getoption("--s3a-jars"):
        pytest.skip("only the real S3A is live: `make test-fidelity`")
    aws.put(bucket, "live.py", LIVE)
    cluster_id = aws.launch(
        step("spark-submit", f"s3://{bucket}/live.py", f"s3://{bucket}/"), LogUri=f"s3://{bucket}/logs"
    )
    until(lambda: "from-step/_SUCCESS" in aws.keys(bucket), "what the step wrote is there", seconds=120)
    assert aws.step_states(cluster_id) == ["RUNNING"]
    aws.put(bucket, "from-test", "x")
    aws.wait_for_end(cluster_id, seconds=240)
    (done,) = aws.steps(cluster_id)
    assert done["Status"]["State"] == "COMPLETED"
    out = aws.text(bucket, f"logs/{cluster_id}/steps/{done['Id']}/stdout.gz")
    assert "root ['from-step', 'from-test', 'live.py']" in out
