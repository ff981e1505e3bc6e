"""Which Spark a release of EMR has, and where this machine has that Spark. Nothing of Spark is imported or run.

Releases: https://docs.aws.amazon.com/emr/latest/ReleaseGuide/emr-release-components.html; every emr-7 release
carries a Spark 3.5, every emr-spark-8 release a Spark 4.0.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

_RELEASES: Mapping[str, str] = {r"emr-7\.\d+\.\d+": "3.5", r"emr-spark-8\.[\w.-]+": "4.0"}
ACCEPTED_RELEASES = "emr-7.* (Spark 3.5) and emr-spark-8.* (Spark 4.0)"


class NoSuchSparkError(Exception):
    """A place that holds no Spark, or another one than was said."""


@dataclass(frozen=True)
class Spark:
    """
    :param version: the first two numbers, as releases are told apart by: "3.5"
    :param python: the Python that drivers and workers run on
    """

    version: str
    full_version: str
    home: Path
    python: str


def spark_of_release(label: str) -> str | None:
    """The version of Spark that a release label stands for; None for a release that is not known here."""
    return next((version for pattern, version in _RELEASES.items() if re.fullmatch(pattern, label)), None)


def refusal(label: str, sparks: Mapping[str, Spark]) -> str | None:
    """Why no cluster of this release can run here, or None where it can."""
    version = spark_of_release(label)
    if version is None:
        return f"The supplied release label is invalid: {label}. local_aws runs releases {ACCEPTED_RELEASES}."
    if version not in sparks:
        there = ", ".join(sorted(sparks)) or "none"
        return (
            f"local_aws cannot run release {label}: it needs Spark {version}, and the Sparks here are: {there}. "
            f"Start local_aws with --spark {version}=PATH."
        )
    return None


def find_sparks(given: Mapping[str, Path], *, python: str) -> dict[str, Spark]:
    """By version: the Spark beside local_aws, and those that were given.

    :param given: version → a Python environment with PySpark, or a Spark of its own (what SPARK_HOME names)
    :param python: for a Spark that lies in no Python environment
    :raises NoSuchSparkError: naming the place
    """
    sparks = {}
    spec = find_spec("pyspark")
    if spec is not None and spec.origin is not None:
        own = _read(Path(spec.origin).parent, python)
        sparks[own.version] = own
    for version, place in given.items():
        found = _spark_at(place.absolute(), python)
        if found.version != version:
            raise NoSuchSparkError(f"--spark {version}={place}: that is Spark {found.full_version}")
        sparks[version] = found
    return sparks


def _spark_at(place: Path, python: str) -> Spark:
    homes = sorted(place.glob("lib/python*/site-packages/pyspark"))
    environment = place / "bin" / "python"
    if len(homes) == 1 and environment.exists():
        return _read(homes[0], str(environment))
    return _read(place, python)


def _read(home: Path, python: str) -> Spark:
    names = [path.name for path in home.glob("jars/spark-core_*.jar")]
    found = re.fullmatch(r"spark-core_[\d.]+-((\d+\.\d+)[\w.-]*)\.jar", names[0]) if names else None
    if found is None:
        raise NoSuchSparkError(
            f"{home} holds no Spark: a Python environment with PySpark, or a folder with jars/spark-core_*.jar, "
            "is accepted"
        )
    return Spark(version=found[2], full_version=found[1], home=home, python=python)
