"""Files of what serves, for the commands that compute with them."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trainyard.cli.database import database
from trainyard.cli.ending import NOT_POSSIBLE, WRONG, end

if TYPE_CHECKING:
    from trainyard.publishing.live_files import LiveFiles

OptionalModel = Annotated[str | None, typer.Argument(help="Name of the model; none with a file.")]


def artifact_of(model: str | None, *, portfolio: str | None, file: Path | None) -> bytes:
    """The artifact of what serves, or of a file."""
    if file is not None or model is None:
        return _local(model, file, option="--artifact")
    found = _only(model, portfolio)
    if found.artifact is not None:
        return found.artifact
    return _object(found.artifact_uri, found.aws_conn_id)


def thresholds_of(model: str | None, *, portfolio: str | None, file: Path | None) -> bytes:
    """The thresholds.json of the training that what serves came from, or of a file."""
    if file is not None or model is None:
        return _local(model, file, option="--file")
    found = _only(model, portfolio)
    return _object(found.output_uri and f"{found.output_uri}thresholds.json", found.aws_conn_id)


def _local(model: str | None, file: Path | None, *, option: str) -> bytes:
    if model is not None or file is None:
        end(f"name a model, or give {option}; not both", NOT_POSSIBLE)
    try:
        return file.read_bytes()
    except OSError as error:
        end(f"cannot read {file}: {error.strerror}", NOT_POSSIBLE)


def _only(model: str, portfolio: str | None) -> LiveFiles:
    from trainyard.publishing.live_files import live_files  # noqa: PLC0415

    with database("app_db") as app:
        found = live_files(app, model=model, portfolio=portfolio)
    if not found:
        where = f" of portfolio {portfolio}" if portfolio else ""
        end(f"no model {model}{where} serves; `trainyard models` lists those that do", WRONG)
    if len(found) > 1:
        portfolios = " and ".join(each.portfolio for each in found)
        end(f"{model} is a model of {portfolios}: give --portfolio", WRONG)
    return found[0]


def _object(uri: str | None, aws_conn_id: str | None) -> bytes:
    if uri is None or aws_conn_id is None:
        end("the ledger does not know the training's folder: give the file itself", NOT_POSSIBLE)
    # standard output is the command's answer, and Airflow logs there
    with redirect_stdout(sys.stderr):
        # imported here: Airflow takes seconds
        from airflow.sdk.exceptions import AirflowException  # noqa: PLC0415
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

        from trainyard.connections import s3_client  # noqa: PLC0415
        from trainyard.publishing.live_files import read_object  # noqa: PLC0415

        try:
            return read_object(s3_client(aws_conn_id), uri)
        except (AirflowException, BotoCoreError, ClientError) as error:
            end(f"cannot read {uri} by the Airflow connection {aws_conn_id}: {error}", NOT_POSSIBLE)
