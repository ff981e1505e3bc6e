"""What this machine has for steps, found once when local_aws starts; and whose clusters it refuses for lack of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from local_aws.settings import Settings
from local_aws.steps import configurations
from local_aws.steps.desk import Desks
from local_aws.steps.java import NotInstalledError, find_java
from local_aws.steps.spark import LocalSpark
from local_aws.steps.spark_files import Copies, RealS3a, SparkFiles, find_s3a_jars
from local_aws.steps.sparks import NoSuchSparkError, Spark, find_sparks, refusal, spark_of_release

_find_java = lru_cache(find_java)


@dataclass(frozen=True)
class Machine:
    """What all steps of this process share."""

    settings: Settings
    endpoint_url: str
    client: Any
    sparks: Mapping[str, Spark]
    spark_files: SparkFiles

    def spark(self, release_label: str) -> Spark:
        """The Spark of a cluster's release. Raises NotInstalledError."""
        refused = refusal(release_label, self.sparks)
        if refused:
            raise NotInstalledError(refused)
        return self.sparks[spark_of_release(release_label) or ""]

    def refusals(self, request: Mapping[str, Any]) -> Iterator[str]:
        """A sentence for each reason why this machine could not run the cluster of a RunJobFlow request."""
        refused = refusal(str(request.get("ReleaseLabel", "")), self.sparks)
        if refused:
            yield refused
        yield from configurations.refusals(request.get("Configurations") or ())
        yield from configurations.group_refusals(request.get("Instances") or {})

    def local_spark(self, spark: Spark) -> LocalSpark:
        """Raises NotInstalledError where no Java is found that this Spark runs on."""
        return LocalSpark(
            spark_home=spark.home,
            java_home=_find_java(spark).home,
            python=spark.python,
            master=self.settings.spark_master,
            driver_memory=self.settings.driver_memory,
            java_options=self.settings.java_options,
        )


def find_machine(settings: Settings, *, endpoint_url: str, client: Any) -> Machine:
    """Raises NoSuchSparkError where a Spark, or the jars of S3A, are not where the settings say."""
    sparks = find_sparks(settings.sparks, python=settings.python)
    if settings.s3a_jars is None:
        files: SparkFiles = Copies(Desks(settings.desks_folder, client))
        return Machine(settings, endpoint_url, client, sparks, files)
    jars = find_s3a_jars(settings.s3a_jars)
    usable = {version: spark for version, spark in sparks.items() if version in jars}
    if not usable:
        wanted = " or ".join(f"{version}/hadoop-aws-*.jar" for version in sorted(sparks))
        raise NoSuchSparkError(
            f"--s3a-jars {settings.s3a_jars} holds no {wanted}; `make fidelity` fetches them"
        )
    return Machine(settings, endpoint_url, client, usable, RealS3a(endpoint_url, jars))
