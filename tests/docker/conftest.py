from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def compose() -> dict[str, Any]:
    """docker-compose.yaml as it is written, its variables unfilled."""
    return dict(yaml.safe_load((ROOT / "docker-compose.yaml").read_text(encoding="utf-8")))


@pytest.fixture(scope="session")
def services(compose: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return dict(compose["services"])


@pytest.fixture(scope="session")
def stages() -> dict[str, list[str]]:
    """The Dockerfile's instructions by the name of their stage, those of the stage below it first."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        if line.startswith("FROM "):
            below, name = line.split()[1], line.split()[-1]
            found[name] = [*found.get(below, []), line]
        elif line and not line.lstrip().startswith("#"):
            list(found.values())[-1].append(line)
    return found
