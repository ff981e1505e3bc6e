"""`python -m local_aws`: its options, and what it says when it cannot start."""

from __future__ import annotations

import argparse
import logging
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from local_aws.emr.store import StoreError
from local_aws.faults.kinds import Fault
from local_aws.faults.reading import FaultTextError, read_fault_file
from local_aws.server import CannotStartError, run
from local_aws.settings import Settings

_DEFAULTS = Settings(root=Path(".trainyard/aws"))


def main(arguments: Sequence[str] | None = None) -> int:
    settings, verbose = _read(arguments)
    logging.basicConfig(
        stream=sys.stderr, level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s"
    )
    logging.getLogger("local_aws").setLevel(logging.INFO if verbose else logging.WARNING)
    try:
        run(settings)
    except (CannotStartError, StoreError) as problem:
        sys.stderr.write(f"local_aws: {problem}\n")
        return 1
    return 0


def _read(arguments: Sequence[str] | None) -> tuple[Settings, bool]:
    parser = option_parser()
    given = vars(parser.parse_args(arguments))
    verbose = given.pop("verbose")
    if given["run_bootstrap_actions"] and given["simulate_seconds"] is not None:
        parser.error("--run-bootstrap-actions runs nothing beside --simulate: one of them alone is accepted")
    return Settings(**given | {"root": given["root"].resolve(), "sparks": dict(given["sparks"])}), verbose


def option_parser() -> argparse.ArgumentParser:
    """Every option; their values are those of `Settings`, and `verbose`."""
    parser = argparse.ArgumentParser(
        prog="python -m local_aws",
        description=(
            "Amazon EMR and S3 on this machine, on one port. Every EMR step that is submitted really runs, "
            "by spark-submit. Point any AWS client at it with its endpoint URL and any keys. "
            "What is like AWS and what is not: docs/local-aws.md."
        ),
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    place = parser.add_argument_group("where")
    place.add_argument(
        "--host", default=_DEFAULTS.host, help="address to listen on; steps run commands, so keep it"
    )
    place.add_argument(
        "--port", type=_port, default=_DEFAULTS.port, help="port for EMR and S3; 0 takes a free one"
    )
    place.add_argument(
        "--root",
        type=Path,
        default=_DEFAULTS.root,
        help="folder for objects, clusters, logs and working files",
    )
    pace = parser.add_argument_group("how fast, how much at once")
    pace.add_argument(
        "--slots",
        type=_count,
        default=_DEFAULTS.slots,
        help="clusters that run steps at once; more stay STARTING",
    )
    pace.add_argument(
        "--vcpus",
        type=_count,
        default=_DEFAULTS.vcpus,
        help="vCPUs of all clusters together, by the names of their instance types; more stay STARTING",
    )
    pace.add_argument(
        "--speed",
        type=_factor,
        default=_DEFAULTS.speed,
        help="times as fast as on EMR that idle timeouts and provisioning timeouts of fleets pass",
    )
    for name, text in (
        ("provision-seconds", "time a cluster is STARTING"),
        ("bootstrap-seconds", "time a cluster is BOOTSTRAPPING"),
        ("terminate-seconds", "time a cluster without processes is TERMINATING"),
        ("log-delay-seconds", "time until an ended step's logs are at its cluster's LogUri"),
        ("grace-seconds", "time a step has to end by itself when it is stopped"),
    ):
        pace.add_argument(
            f"--{name}", type=_seconds, default=getattr(_DEFAULTS, name.replace("-", "_")), help=text
        )
    pace.add_argument(
        "--run-bootstrap-actions",
        action="store_true",
        help="run bootstrap actions for real, as the user who runs local_aws; otherwise they just take their time",
    )
    rehearsal = parser.add_argument_group("rehearsals")
    rehearsal.add_argument(
        "--simulate",
        dest="simulate_seconds",
        metavar="SECONDS",
        type=_seconds,
        default=_DEFAULTS.simulate_seconds,
        help="every step ends well after so long, without being run: for hundreds of clusters at once",
    )
    rehearsal.add_argument(
        "--faults",
        metavar="FILE",
        type=_faults,
        default=_DEFAULTS.faults,
        help="YAML file of faults that are in force from the start; see docs/local-aws-faults.md",
    )
    spark = parser.add_argument_group("Spark")
    spark.add_argument("--spark-master", default=_DEFAULTS.spark_master, help="master of every step's driver")
    spark.add_argument(
        "--driver-memory", default=_DEFAULTS.driver_memory, help="memory of every step's driver"
    )
    spark.add_argument(
        "--java-options",
        default=_DEFAULTS.java_options,
        help="options of every driver's JVM; write --java-options=-XX:…",
    )
    spark.add_argument("--python", default=_DEFAULTS.python, help="Python of drivers and workers")
    spark.add_argument(
        "--spark",
        dest="sparks",
        metavar="VERSION=PATH",
        type=_spark,
        action="append",
        default=[],
        help="one more Spark: a Python environment with PySpark, or a SPARK_HOME; emr-7.* releases run on 3.5, "
        "emr-spark-8.* on 4.0",
    )
    spark.add_argument(
        "--s3a-jars",
        metavar="FOLDER",
        type=_folder,
        help="let s3:// in steps be Hadoop's real S3A, by FOLDER/<version of Spark>/*.jar (make fidelity)",
    )
    parser.add_argument(
        "--verbose", action="store_true", help="tell every change of a cluster's state on stderr"
    )
    return parser


def _port(text: str) -> int:
    number = int(text)
    if not 0 <= number <= 65535:
        raise argparse.ArgumentTypeError(f"{text} is no port: 0 to 65535 is accepted")
    return number


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is too few: 1 or more is accepted")
    return number


def _spark(text: str) -> tuple[str, Path]:
    version, _, path = text.partition("=")
    if not re.fullmatch(r"\d+\.\d+", version) or not path:
        raise argparse.ArgumentTypeError(
            f"{text} is no Spark: VERSION=PATH is accepted, such as 4.0=.venv-spark4"
        )
    return version, Path(path).absolute()


def _folder(text: str) -> Path:
    if not Path(text).is_dir():
        raise argparse.ArgumentTypeError(f"{text} is no folder")
    return Path(text).absolute()


def _factor(text: str) -> float:
    number = float(text)
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is no factor: a number above 0 is accepted")
    return number


def _faults(text: str) -> tuple[Fault, ...]:
    try:
        return read_fault_file(Path(text))
    except FaultTextError as problem:
        raise argparse.ArgumentTypeError(str(problem)) from problem


def _seconds(text: str) -> float:
    number = float(text)
    if not 0 <= number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is no duration: seconds from 0 on are accepted")
    return number
