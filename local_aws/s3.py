"""S3: ministack's, unpatched and inside this process, with its objects on disk; and a client for it.

ministack reads its settings from the environment when it is imported, so the environment comes first. Only
its request handler is used: none of its other listeners (SFTP, MQTT, schedulers) is ever started.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

import boto3
from botocore.awsrequest import AWSPreparedRequest
from botocore.config import Config

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]

ACCOUNT_ID = "000000000000"
# given by name, so that no chain of real credentials is ever asked
DUMMY_KEY = "local"


class ForeignEndpointError(Exception):
    """A request of ours was about to leave for an endpoint that is not ours."""


def load_s3(data_folder: Path) -> AsgiApp:
    """ministack's ASGI application with S3 alone, its objects read from and kept in `data_folder`."""
    data_folder.mkdir(parents=True, exist_ok=True)
    os.environ.update(
        {
            "SERVICES": "s3",
            "S3_PERSIST": "1",
            "S3_DATA_DIR": str(data_folder),
            "PERSIST_STATE": "0",
            "SFTP_ENABLED": "0",
            "IOT_MTLS_ENABLED": "0",
            "MINISTACK_ACCOUNT_ID": ACCOUNT_ID,
            "LOG_LEVEL": "WARNING",
        }
    )
    from ministack.app import app  # noqa: PLC0415 - it reads the environment while it is imported
    from ministack.services import s3  # noqa: F401, PLC0415 - reads the objects now, not at the first request

    application: AsgiApp = app
    return application


def own_client(endpoint_url: str) -> Any:
    """A boto3 S3 client for this process's own endpoint, with keys that mean nothing anywhere else."""
    client = boto3.Session().client(
        "s3",
        region_name="us-east-1",
        aws_access_key_id=DUMMY_KEY,
        aws_secret_access_key=DUMMY_KEY,
        endpoint_url=endpoint_url,
        config=Config(s3={"addressing_style": "path"}, proxies={}, retries={"total_max_attempts": 3}),
    )

    def refuse_others(request: AWSPreparedRequest, **_: object) -> None:
        if not request.url.startswith(f"{endpoint_url}/"):
            raise ForeignEndpointError(f"{request.url} is not at {endpoint_url}")

    client.meta.events.register("before-send", refuse_others)
    return client


def restore_empty_buckets(client: Any, data_folder: Path) -> None:
    """ministack finds its buckets again by their objects: one without any must be made anew."""
    known = {bucket["Name"] for bucket in client.list_buckets()["Buckets"]}
    account = data_folder / ACCOUNT_ID
    for folder in sorted(account.iterdir()) if account.is_dir() else ():
        if folder.is_dir() and folder.name not in known:
            client.create_bucket(Bucket=folder.name)


def shut_out_real_aws() -> None:
    """Nothing in this process may find credentials, profiles or endpoints of the person who runs it."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]
    os.environ.update(
        {
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
        }
    )
