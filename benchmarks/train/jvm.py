"""What starts a driver's JVM sooner: JVM options for the Spark configuration, none of them known to the job.

On a cluster they belong into `spark-defaults` (`spark.driver.extraJavaOptions`) and the archive into the image; the
archive holds the classes of one JDK and one class path, read and checked.
"""

from __future__ import annotations

from pathlib import Path

from benchmarks.train.contestants import run_job
from benchmarks.train.data import write_data

# two cores are kept busier by it than by G1
COLLECTOR = "-XX:+UseParallelGC"


def archive_classes(work: Path) -> list[str]:
    """The options, once a run on a few rows has left an archive of the classes that the job uses."""
    archive = work / "classes.jsa"
    if not archive.exists():
        few = write_data(work / "few", train_rows=2_000, validation_rows=500, test_rows=1_000)
        run_job(few, work, java_options=[COLLECTOR, f"-XX:ArchiveClassesAtExit={archive}"])
    return [COLLECTOR, f"-XX:SharedArchiveFile={archive}", "-Xlog:cds=off", "-Xlog:cds+dynamic=off"]
