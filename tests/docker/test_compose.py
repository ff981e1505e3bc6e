"""What docker-compose.yaml and the Dockerfile promise, read from the files: no engine is needed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from trainyard.laptop.settings import Ports, read_settings
from trainyard.laptop.train import read_running_settings

ROOT = Path(__file__).resolve().parents[2]
Services = dict[str, dict[str, Any]]
Stages = dict[str, list[str]]

REQUIRED_VARIABLE = re.compile(r'\$\{(TRAINYARD_[A-Z_]+):\?run "make env" first\}')
SECRET_NAME = re.compile(r"PASSWORD|SECRET|FERNET|TOKEN|ACCESS_KEY")
# keys that open nothing, and names of files
NO_SECRETS = {"test", "/dev/null", "/var/lib/airflow/passwords.json"}


def one_shots(services: Services) -> set[str]:
    """The services that end by themselves: others wait for their end, or a person runs them."""
    awaited = {
        name
        for service in services.values()
        for name, need in service.get("depends_on", {}).items()
        if need["condition"] == "service_completed_successfully"
    }
    return awaited | {name for name, service in services.items() if service.get("profiles")}


def test_no_password_stands_in_the_file(services: Services) -> None:
    text = (ROOT / "docker-compose.yaml").read_text(encoding="utf-8")
    written = re.findall(r'"password": "([^"]*)"', text) + re.findall(r"://[^:/\s]+:([^@\s]+)@", text)
    for service in services.values():
        written += [
            str(value)
            for name, value in service.get("environment", {}).items()
            if SECRET_NAME.search(name) and not str(value).startswith("{")
        ]
    literal = {value for value in written if not re.fullmatch(r"\$\{TRAINYARD_[A-Z_]+(:\?[^}]*)?\}", value)}
    assert literal <= NO_SECRETS, f"take these out of docker-compose.yaml and into .ci/make-env: {literal}"


def test_every_port_is_published_on_this_machine_alone(services: Services) -> None:
    published = {name: port for name, service in services.items() for port in service.get("ports", [])}
    ports = Ports()
    assert {name: port.rpartition(":")[0] for name, port in published.items()} == {
        "postgres": f"127.0.0.1:${{{Ports.variable('postgres')}:-{ports.postgres}}}",
        "local-aws": f"127.0.0.1:${{{Ports.variable('local_aws')}:-{ports.local_aws}}}",
        "api-server": f"127.0.0.1:${{{Ports.variable('airflow')}:-{ports.airflow}}}",
    }
    assert not [name for name, service in services.items() if service.get("network_mode") == "host"]


def test_every_image_is_pinned(services: Services, stages: Stages) -> None:
    taken = {service["image"] for service in services.values()}
    froms = [line for lines in stages.values() for line in lines if line.startswith("FROM ")]
    taken |= {line.split()[1] for line in froms} - set(stages)
    for image in taken:
        assert re.fullmatch(r"[a-z/-]+:\d[\w.-]*", image), f"{image} has no tag that begins with a version"


def test_images_of_ours_have_the_version_of_the_package(services: Services) -> None:
    version = re.search(
        r'^version = "(.*)"', (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert version
    for service in services.values():
        if "build" in service:
            assert service["image"] == f"trainyard-{service['build']['target']}:{version[1]}"


def test_every_part_that_stays_has_a_health_check(services: Services) -> None:
    assert {name for name, service in services.items() if "healthcheck" not in service} == one_shots(services)


def test_the_demo_is_told_where_everything_is(services: Services) -> None:
    told = read_running_settings(services["demo"]["environment"], read_settings({}))
    assert told.airflow_url.removeprefix("http://") == "api-server:8080"
    assert told.aws_url == services["api-server"]["environment"]["AWS_ENDPOINT_URL"]


def test_every_part_waits_for_what_it_needs_to_be_ready(services: Services) -> None:
    for service in services.values():
        for need in service.get("depends_on", {}).values():
            assert need["condition"] in {"service_healthy", "service_completed_successfully"}


def test_nothing_runs_as_root_or_can_become_root(services: Services, stages: Stages) -> None:
    for name, service in services.items():
        user = service.get("user") or last_user(stages, service["build"]["target"])
        assert user not in {None, "root", "0"}, f"{name} runs as {user}"
        assert service["cap_drop"] == ["ALL"]
        assert "no-new-privileges:true" in service["security_opt"]
        assert not service.keys() & {"privileged", "cap_add", "devices", "pid", "userns_mode"}


def last_user(stages: Stages, stage: str) -> str | None:
    users = [line.split()[1] for line in stages[stage] if line.startswith("USER ")]
    return users[-1] if users else None


def test_all_that_must_outlive_a_container_lies_in_a_named_volume(compose: dict[str, Any]) -> None:
    mounts = {name: service.get("volumes", []) for name, service in compose["services"].items()}
    # the folder of PostgreSQL's images from 18 on; a mount at .../data, as before, would keep nothing
    assert mounts["postgres"] == ["postgres:/var/lib/postgresql"]
    assert mounts["local-aws"] == ["local-aws:/var/lib/local-aws"]
    sources = {mount.split(":")[0] for part in mounts.values() for mount in part}
    assert {source for source in sources if not source.startswith("./")} == set(compose["volumes"])


def test_what_comes_from_the_checkout_can_not_be_written(services: Services) -> None:
    bound = [
        mount
        for service in services.values()
        for mount in service.get("volumes", [])
        if mount.startswith(".")
    ]
    assert bound
    assert all(mount.endswith(":ro") for mount in bound)


@pytest.mark.parametrize("secret", [".env", ".trainyard", ".git"])
def test_no_secret_reaches_the_engine_that_builds(secret: str) -> None:
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"
    assert f"!{secret}" not in rules
    assert "." not in {rule.removeprefix("!").rstrip("/") for rule in rules}


def test_the_images_are_installed_from_the_lock_alone(stages: Stages) -> None:
    installs = {line for lines in stages.values() for line in lines if re.search(r"\bpip install\b", line)}
    assert len(installs) == 3
    assert all("--require-hashes" in line for line in installs)
