"""`.ci/make-env`: the secrets that docker-compose.yaml asks for, made once."""

from __future__ import annotations

import re
import stat
import subprocess
from pathlib import Path

from cryptography.fernet import Fernet

ROOT = Path(__file__).resolve().parents[2]


def make_env(folder: Path) -> str:
    command = ["bash", str(ROOT / ".ci" / "make-env"), str(folder)]
    # a person's umask must not matter
    return subprocess.run(command, capture_output=True, text=True, check=True, umask=0).stdout


def read_env(folder: Path) -> dict[str, str]:
    lines = (folder / ".env").read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines)


def test_it_writes_what_the_compose_file_requires_and_nothing_else(tmp_path: Path) -> None:
    make_env(tmp_path)
    required = re.findall(r"\$\{(\w+):\?", (ROOT / "docker-compose.yaml").read_text(encoding="utf-8"))
    assert set(read_env(tmp_path)) == set(required)


def test_only_its_owner_can_read_it(tmp_path: Path) -> None:
    make_env(tmp_path)
    assert stat.S_IMODE((tmp_path / ".env").stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == [".env"]


def test_one_that_is_there_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("TRAINYARD_POSTGRES_PASSWORD=mine\n", encoding="utf-8")
    assert "is there already" in make_env(tmp_path)
    assert read_env(tmp_path) == {"TRAINYARD_POSTGRES_PASSWORD": "mine"}


def test_a_link_to_nowhere_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / ".env").symlink_to(tmp_path / "elsewhere")
    make_env(tmp_path)
    assert not (tmp_path / "elsewhere").exists()


def test_secrets_are_new_long_and_safe_in_a_url_and_in_json(tmp_path: Path) -> None:
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        folder.mkdir()
        make_env(folder)
    values = [value for folder in folders for value in read_env(folder).values()]
    assert len(set(values)) == len(values) == 10
    assert all(re.fullmatch(r"[\w=-]{16,}", value) for value in values)


def test_nothing_secret_is_printed(tmp_path: Path) -> None:
    said = make_env(tmp_path)
    assert not [value for value in read_env(tmp_path).values() if value in said]


def test_airflow_takes_the_fernet_key(tmp_path: Path) -> None:
    make_env(tmp_path)
    Fernet(read_env(tmp_path)["TRAINYARD_FERNET_KEY"])


def test_git_ignores_it() -> None:
    assert ".env" in (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
