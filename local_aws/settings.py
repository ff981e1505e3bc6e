"""What a person may set, with the values that suit one laptop."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from local_aws.emr.control_plane import Pace
from local_aws.faults.kinds import Fault


@dataclass(frozen=True)
class Settings:
    root: Path
    host: str = "127.0.0.1"
    port: int = 4566
    slots: int = max(1, os.cpu_count() or 1)
    provision_seconds: float = 2.0
    bootstrap_seconds: float = 1.0
    terminate_seconds: float = 0.0
    # what all clusters together may have; None: any number
    vcpus: int | None = None
    # how many times as fast as on EMR the timeouts pass that a request asks for
    speed: float = 1.0
    # how long every step lasts instead of being run; None: steps are run
    simulate_seconds: float | None = None
    # in force from the start
    faults: tuple[Fault, ...] = ()
    # whether bootstrap actions are really run, as whoever runs local_aws
    run_bootstrap_actions: bool = False
    # how long a step may take to end by itself when its cluster is terminated
    grace_seconds: float = 2.0
    # how long after its end a step's logs come to LogUri
    log_delay_seconds: float = 0.0
    spark_master: str = "local[2]"
    driver_memory: str = "1g"
    # Spark's classes outgrow the JVM's own MetaspaceSize four times, and each time the whole heap is collected
    java_options: str = "-XX:+UseParallelGC -XX:MetaspaceSize=192m"
    python: str = sys.executable
    # version → where that Spark is, besides the one beside local_aws
    sparks: Mapping[str, Path] = field(default_factory=dict)
    # <folder>/<version of Spark>/*.jar, by which s3:// is Hadoop's real S3A
    s3a_jars: Path | None = None

    @property
    def pace(self) -> Pace:
        return Pace(
            slots=self.slots,
            provision_seconds=self.provision_seconds,
            bootstrap_seconds=self.bootstrap_seconds,
            terminate_seconds=self.terminate_seconds,
            simulate_seconds=self.simulate_seconds,
            run_bootstrap_actions=self.run_bootstrap_actions and self.simulate_seconds is None,
            vcpus=self.vcpus,
            speed=self.speed,
        )

    @property
    def objects_folder(self) -> Path:
        return self.root / "s3"

    @property
    def clusters_folder(self) -> Path:
        return self.root / "emr"

    @property
    def desks_folder(self) -> Path:
        return self.root / "spark"
