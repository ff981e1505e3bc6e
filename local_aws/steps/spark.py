"""How a step's `spark-submit …` of a cluster becomes a spark-submit on this machine.

Pure: arguments and settings in, a command, configuration files and a note for every change out. The notes go
into the step's controller log, so that nothing is changed behind anybody's back.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from local_aws.steps.configurations import (
    Configuration,
    exported_variables,
    is_decided_site_property,
    properties_of,
    site_properties,
)
from local_aws.steps.hadoop import HadoopFiles, core_site

# spark-submit's options that stand alone; every other option takes a value
_FLAGS = frozenset({"--verbose", "-v", "--supervise"})
_NOT_A_SUBMISSION = frozenset({"--help", "-h", "--version", "--kill", "--status", "--usage-error"})

# decided by this machine, whatever a step or a cluster's configuration says
_DECIDED_OPTIONS = frozenset({"--master", "--deploy-mode", "--driver-memory", "--driver-cores"})
DECIDED_CONFS: Mapping[str, str] = {
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.host": "127.0.0.1",
    # there is no shuffle service and nothing to scale on one machine
    "spark.dynamicAllocation.enabled": "false",
    "spark.shuffle.service.enabled": "false",
    # a task that runs out of memory ends its executor, which here is the driver as well, and then nobody says why
    "spark.executor.killOnFatalError.depth": "0",
    "spark.ui.enabled": "false",
}
_DROPPED_CONFS = frozenset(
    {
        "spark.master",
        "spark.submit.deployMode",
        "spark.driver.memory",
        "spark.driver.cores",
        # where a cluster keeps its Python and its temporary files is not where this machine does
        "spark.pyspark.python",
        "spark.pyspark.driver.python",
        "spark.local.dir",
    }
)
_HADOOP = "spark.hadoop."


class SparkArgumentError(Exception):
    """Arguments that spark-submit itself would refuse."""


@dataclass(frozen=True)
class SparkSubmit:
    """The parts of a spark-submit command line."""

    options: tuple[tuple[str, str | None], ...]
    application: str
    application_args: tuple[str, ...]


@dataclass(frozen=True)
class LocalSpark:
    """What this machine gives a driver."""

    spark_home: Path
    java_home: Path
    python: str
    master: str
    driver_memory: str
    java_options: str


@dataclass(frozen=True)
class SparkCommand:
    argv: tuple[str, ...]
    environment: Mapping[str, str]
    files: Mapping[Path, str]
    notes: tuple[str, ...]


def parse_spark_submit(args: Sequence[str]) -> SparkSubmit:
    """Split what follows `spark-submit`; raises SparkArgumentError naming the argument."""
    options: list[tuple[str, str | None]] = []
    rest = list(args)
    while rest and rest[0].startswith("-"):
        name, has_value, value = rest.pop(0).partition("=")
        if name in _NOT_A_SUBMISSION:
            raise SparkArgumentError(f"spark-submit {name} submits nothing.")
        if name in _FLAGS:
            options.append((name, None))
        elif has_value and name.startswith("--"):
            options.append((name, value))
        elif rest:
            options.append((name, rest.pop(0)))
        else:
            raise SparkArgumentError(f"spark-submit option {name} has no value.")
    if not rest:
        raise SparkArgumentError("spark-submit names no application (a .py or .jar) after its options.")
    return SparkSubmit(tuple(options), rest[0], tuple(rest[1:]))


def local_command(
    submit: SparkSubmit,
    *,
    configurations: Sequence[Configuration],
    machine: LocalSpark,
    hadoop: HadoopFiles,
    folder: Path,
) -> SparkCommand:
    """The command for a step whose own files lie in `folder`."""
    options, notes = _kept_options(submit.options)
    kept_defaults, default_notes = _kept_defaults(properties_of(configurations, "spark-defaults"))
    exported, export_notes = exported_variables(configurations)
    site, site_notes = site_properties(configurations)
    decided = dict(DECIDED_CONFS) | {"spark.sql.warehouse.dir": str(folder / "warehouse")}
    argv = [str(machine.spark_home / "bin" / "spark-submit"), *options]
    argv += ["--master", machine.master, "--deploy-mode", "client", "--driver-memory", machine.driver_memory]
    for key, value in decided.items():
        argv += ["--conf", f"{key}={value}"]
    argv += [submit.application, *submit.application_args]
    conf = folder / "conf"
    environment = exported | {
        "SPARK_HOME": str(machine.spark_home),
        "JAVA_HOME": str(machine.java_home),
        "PYSPARK_PYTHON": machine.python,
        "PYSPARK_DRIVER_PYTHON": machine.python,
        "SPARK_CONF_DIR": str(conf),
        "HADOOP_CONF_DIR": str(conf),
        # at the end of every class path, so that it is in no step's own way
        "SPARK_DIST_CLASSPATH": os.pathsep.join(str(jar) for jar in hadoop.jars),
        "SPARK_LOCAL_DIRS": str(folder / "tmp"),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "SPARK_SUBMIT_OPTS": _java_options(machine, submit, {**kept_defaults, **exported}, folder),
        # the launcher's own short-lived JVM
        "SPARK_LAUNCHER_OPTS": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
    }
    files = {
        conf / "spark-defaults.conf": "".join(_property(*item) for item in kept_defaults.items()),
        conf / "core-site.xml": core_site({**site, **hadoop.properties}),
    }
    notes += [
        f"local_aws: --master {machine.master} --deploy-mode client --driver-memory {machine.driver_memory}",
        *default_notes,
        *export_notes,
        *site_notes,
    ]
    return SparkCommand(tuple(argv), environment, files, tuple(notes))


def _kept_options(options: Iterable[tuple[str, str | None]]) -> tuple[list[str], list[str]]:
    kept: list[str] = []
    notes: list[str] = []
    for name, value in options:
        conf = (value or "").partition("=")[0] if name in ("--conf", "-c") else ""
        if name in _DECIDED_OPTIONS or _is_decided_conf(conf):
            notes.append(f"local_aws: {name} {value} does not apply on this machine")
        else:
            kept += [name] if value is None else [name, value]
    return kept, notes


def _kept_defaults(defaults: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    kept = {key: value for key, value in defaults.items() if not _is_decided_conf(key)}
    notes = [
        f"local_aws: spark-defaults {key}={value} does not apply on this machine"
        for key, value in defaults.items()
        if key not in kept
    ]
    return kept, notes


def _is_decided_conf(name: str) -> bool:
    if name in _DROPPED_CONFS or name in DECIDED_CONFS:
        return True
    # Spark hands these on to Hadoop, where they would win over core-site.xml
    return name.startswith(_HADOOP) and is_decided_site_property(name.removeprefix(_HADOOP))


def _java_options(machine: LocalSpark, submit: SparkSubmit, defaults: Mapping[str, str], folder: Path) -> str:
    """Ours, unless the step chooses a garbage collector itself: a JVM refuses to start with two."""
    chosen = " ".join([*defaults.values(), *(value or "" for _, value in submit.options)])
    ours = "" if re.search(r"-XX:\+Use\w+GC", chosen) else machine.java_options
    return f'"-Djava.io.tmpdir={folder / "tmp"}" {ours}'.strip()


def _property(key: str, value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("\n", "\\n")
    return f"{key} {escaped}\n"
