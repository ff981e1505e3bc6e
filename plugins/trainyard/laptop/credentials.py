"""The stack's secrets: made once, kept in one file that only its owner can read, handed to Airflow alone."""

from __future__ import annotations

import base64
import json
import os
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path

USER = "admin"


@dataclass(frozen=True)
class Credentials:
    """:param stack_id: not a secret; tells this state folder's processes from those of any other"""

    stack_id: str
    password: str
    fernet_key: str
    api_secret_key: str
    jwt_secret: str


def load_credentials(folder: Path) -> Credentials:
    """The secrets kept in ``folder``, made now if there are none yet or the file can't be used."""
    path = folder / "credentials.json"
    try:
        return Credentials(**json.loads(path.read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError, TypeError):
        # a file cut off by a crash is worth nothing: what it held protects nothing beyond this folder
        made = Credentials(
            stack_id=secrets.token_hex(8),
            password=secrets.token_urlsafe(12),
            fernet_key=base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
            api_secret_key=secrets.token_urlsafe(32),
            jwt_secret=secrets.token_urlsafe(48),
        )
        write_private(path, json.dumps(asdict(made), sort_keys=True) + "\n")
        return made


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    scratch.replace(path)
