"""A cluster's `Configurations`: what of them a step on this machine gets, and what is refused when it is launched.

Classifications: https://docs.aws.amazon.com/emr/latest/ReleaseGuide/emr-configure-apps.html
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

Configuration = Mapping[str, Any]

# each has a meaning for a step here
APPLIED = frozenset({"core-site", "spark-defaults", "spark-env"})
# parts of a cluster that this machine does not have: taken, shown, and named in each step's controller log
WITHOUT_EFFECT = frozenset(
    {
        "capacity-scheduler",
        "emrfs-site",
        "hadoop-env",
        "hadoop-log4j",
        "hadoop-ssl-server",
        "hdfs-env",
        "hdfs-site",
        "hive-site",
        "mapred-env",
        "mapred-site",
        "spark",
        "spark-hive-site",
        "spark-log4j2",
        "spark-metrics",
        "yarn-env",
        "yarn-site",
    }
)
# the file system behind s3:// is this machine's own
_DECIDED_SITE_PREFIXES = (
    "fs.s3.impl",
    "fs.s3a.impl",
    "fs.AbstractFileSystem.s3",
    "fs.s3a.endpoint",
    "fs.s3a.access.key",
    "fs.s3a.secret.key",
    "fs.s3a.session.token",
    "fs.s3a.assumed.role.",
    "fs.s3a.aws.",
    "fs.s3a.security.credential.provider.path",
    "hadoop.security.credential.provider.path",
    # any property of S3A for one bucket, of which the endpoint and the keys are some
    "fs.s3a.bucket.",
    "fs.s3a.proxy.",
    "fs.viewfs.",
    "fs.raw.",
)
# where this machine keeps its programs, and whose step a process is
_DECIDED_VARIABLES = frozenset(
    {
        "HADOOP_CONF_DIR",
        "JAVA_HOME",
        "LOCAL_AWS_STEP",
        "PYSPARK_DRIVER_PYTHON",
        "PYSPARK_PYTHON",
        "SPARK_CONF_DIR",
        "SPARK_DIST_CLASSPATH",
        "SPARK_HOME",
        "SPARK_LAUNCHER_OPTS",
        "SPARK_LOCAL_DIRS",
        "SPARK_LOCAL_IP",
        "SPARK_SUBMIT_OPTS",
        "YARN_CONF_DIR",
    }
)


def refusals(configurations: Iterable[Configuration]) -> Iterator[str]:
    """A sentence for each classification, or part of one, that nobody could honour or knowingly leave out."""
    for number, configuration in enumerate(configurations):
        name, place = configuration.get("Classification"), f"Configurations[{number}]"
        if name not in APPLIED | WITHOUT_EFFECT:
            accepted = ", ".join(sorted(APPLIED))
            yield (
                f"local_aws does not support classification {name!r} of {place}. It applies {accepted}; "
                f"it takes, without effect: {', '.join(sorted(WITHOUT_EFFECT))}."
            )
        elif name in APPLIED:
            yield from _nested_refusals(configuration, str(name), place)


def group_refusals(instances: Mapping[str, Any]) -> Iterator[str]:
    """A sentence for each group or fleet of a RunJobFlow's Instances that configures its own nodes alone."""
    groups = [
        (f"InstanceGroups[{n}]", group) for n, group in enumerate(instances.get("InstanceGroups") or ())
    ]
    types = [
        (f"InstanceFleets[{n}].InstanceTypeConfigs[{m}]", instance_type)
        for n, fleet in enumerate(instances.get("InstanceFleets") or ())
        for m, instance_type in enumerate(fleet.get("InstanceTypeConfigs") or ())
    ]
    for place, asked in (*groups, *types):
        if asked.get("Configurations"):
            yield (
                f"local_aws does not support Instances.{place}.Configurations, as no node has a configuration "
                f"of its own here: the Configurations of the whole cluster are accepted."
            )


def properties_of(configurations: Iterable[Configuration], classification: str) -> dict[str, str]:
    """The properties of the cluster's classification; a later one of the same name wins, as on EMR."""
    return {
        key: str(value)
        for configuration in configurations
        if configuration.get("Classification") == classification
        for key, value in (configuration.get("Properties") or {}).items()
    }


def exported_variables(configurations: Iterable[Configuration]) -> tuple[dict[str, str], list[str]]:
    """What spark-env exports into a step's environment, and a note for each variable that cannot apply."""
    exports = [
        nested
        for configuration in configurations
        if configuration.get("Classification") == "spark-env"
        for nested in configuration.get("Configurations") or ()
    ]
    asked = properties_of(exports, "export")
    kept = {key: value for key, value in asked.items() if not _is_decided(key)}
    notes = [
        f"local_aws: spark-env {key}={value} does not apply on this machine"
        for key, value in asked.items()
        if _is_decided(key)
    ]
    return kept, notes


def is_decided_site_property(name: str) -> bool:
    """Whether this machine decides the property of Hadoop: it says what `s3://` is, and with whose keys."""
    return name.startswith(_DECIDED_SITE_PREFIXES)


def site_properties(configurations: Iterable[Configuration]) -> tuple[dict[str, str], list[str]]:
    """What core-site sets, and a note for each property of the file system that this machine decides."""
    asked = properties_of(configurations, "core-site")
    kept = {key: value for key, value in asked.items() if not is_decided_site_property(key)}
    notes = [
        f"local_aws: core-site {key}={asked[key]} does not apply on this machine"
        for key in asked.keys() - kept.keys()
    ]
    return kept, sorted(notes)


def without_effect(configurations: Iterable[Configuration]) -> tuple[str, ...]:
    """The cluster's classifications that configure what this machine does not have."""
    names = {str(configuration.get("Classification")) for configuration in configurations}
    return tuple(sorted(names - APPLIED))


def _nested_refusals(configuration: Configuration, name: str, place: str) -> Iterator[str]:
    for nested in configuration.get("Configurations") or ():
        inner = nested.get("Classification")
        if name != "spark-env" or inner != "export":
            yield f"local_aws does not support classification {inner!r} within {name} of {place}."
    if name == "spark-env" and configuration.get("Properties"):
        yield f"{place}: spark-env takes its variables in a nested classification 'export', not in Properties."


def _is_decided(variable: str) -> bool:
    return variable in _DECIDED_VARIABLES or variable.startswith("AWS_")
