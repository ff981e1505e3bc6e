"""``trainyard reap``: the deployment's clusters that outlived their need are ended, without Airflow's scheduler."""

from __future__ import annotations

from typing import Annotated

import typer

from trainyard.cli.ending import NOT_POSSIBLE, end


def reap(
    deployment: Annotated[str, typer.Option(help="Deployment id, as in the Variable trainyard_account.")],
    *,
    region: Annotated[str | None, typer.Option(help="AWS region; none: boto3's own.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be ended.")] = False,
) -> None:
    """End clusters of a deployment that nobody owns or that are over age.

    AWS is reached as boto3 is set up here. Where Airflow's metadata database cannot be read, only over-age clusters are
    ended.
    """
    # here, so that other commands start without boto3 and SQLAlchemy
    import boto3  # noqa: PLC0415
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

    from trainyard import reaping  # noqa: PLC0415
    from trainyard.cli.database import database  # noqa: PLC0415
    from trainyard.cli.runs import MetadataRuns  # noqa: PLC0415

    with database("app_db") as app:
        try:
            emr = boto3.client("emr", region_name=region)
            runs = MetadataRuns()
            reaped = reaping.reap(app=app, emr=emr, deployment=deployment, runs=runs, dry_run=dry_run)
        except (BotoCoreError, ClientError) as error:
            end(f"EMR cannot be asked: {error}", NOT_POSSIBLE)
    if not runs.readable:
        typer.echo("trainyard: Airflow's runs cannot be read: only over-age clusters are ended", err=True)
    for stray in reaped.strays:
        verb = "would end" if dry_run else "ended"
        typer.echo(f"{verb} {stray.cluster.cluster_id} ({stray.cluster.name}): {stray.why}")
    if reaped.failures:
        end("\n".join(["not all could be looked at or ended:", *reaped.failures]), NOT_POSSIBLE)
    if not reaped.strays:
        typer.echo("no cluster to end")
