"""The demo's features in the local S3: for each model, a folder for each of the last seven data dates."""

from __future__ import annotations

import urllib.request
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import boto3

from trainyard.laptop.demo_data import write_features
from trainyard.laptop.environment import DUMMY_KEY, REGION
from trainyard.laptop.settings import Settings
from trainyard.portfolio import Portfolio, load_portfolio

DEMO = "demo"
FEATURES_BUCKET = "trainyard-features"
OUTPUT_BUCKET = "trainyard-output"
DATA_DATES = 7

_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def demo_portfolio(dags: Path) -> Portfolio:
    """The portfolio of the demo; raises PortfolioError."""
    return load_portfolio(dags / "portfolios" / f"{DEMO}.yaml")


def recent_data_dates(portfolio: Portfolio, now: datetime) -> list[date]:
    """The data date of a run that starts ``now``, and those before it, newest first."""
    newest = now.astimezone(ZoneInfo(portfolio.time_zone)).date() - timedelta(days=portfolio.data_lag_days)
    return [newest - timedelta(days=days) for days in range(DATA_DATES)]


def write_inputs(settings: Settings) -> None:
    """Make the buckets and the features that are not there yet."""
    s3 = aws_client(settings, "s3")
    existing = {bucket["Name"] for bucket in s3.list_buckets()["Buckets"]}
    for bucket in (FEATURES_BUCKET, OUTPUT_BUCKET):
        if bucket not in existing:
            s3.create_bucket(Bucket=bucket)
    dates = recent_data_dates(demo_portfolio(settings.dags), datetime.now(tz=timezone.utc))
    write_features(s3, bucket=FEATURES_BUCKET, data_dates=dates)


def aws_client(settings: Settings, service: str) -> Any:
    """A boto3 client of the local AWS, and of nothing else."""
    session = boto3.session.Session(
        aws_access_key_id=DUMMY_KEY, aws_secret_access_key=DUMMY_KEY, region_name=REGION
    )
    return session.client(service, endpoint_url=settings.aws_url)


def is_answering(settings: Settings) -> bool:
    """Whether the local AWS answers."""
    try:
        with _OPENER.open(f"{settings.aws_url}/_local_aws/health", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
