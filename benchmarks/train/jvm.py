"""The Spark configuration that the job is timed with; none of it is known to the job.

On a cluster it belongs into `spark-defaults` (the options of the JVM are `spark.driver.extraJavaOptions`), and the
archive, which holds the classes of one JDK and one class path, read and checked, into the machine's image.
"""

from __future__ import annotations

from pathlib import Path

from benchmarks.train.contestants import DRIVER_MEMORY, run_job
from benchmarks.train.data import write_data

OPTIONS = (
    # two cores are kept busier by it than by G1
    "-XX:+UseParallelGC",
    # a heap that grows, and room for classes that does, is collected as a whole each time before it grows
    f"-Xms{DRIVER_MEMORY}",
    "-XX:MetaspaceSize=256m",
)
# adaptive execution runs the pass that fills a cache and the sums over it one after the other, not in one
SETTINGS = ("--conf", "spark.sql.adaptive.enabled=false")


def archive_classes(work: Path) -> list[str]:
    """The options, once a run on a few rows has left an archive of the classes that the job uses."""
    archive = work / "classes.jsa"
    if not archive.exists():
        few = write_data(work / "few", train_rows=2_000, validation_rows=500, test_rows=1_000)
        run_job(few, work, java_options=[*OPTIONS, f"-XX:ArchiveClassesAtExit={archive}"])
    return [*OPTIONS, f"-XX:SharedArchiveFile={archive}", "-Xlog:cds=off", "-Xlog:cds+dynamic=off"]
