"""``up``: everything runs, in the foreground, until a person stops it."""

from __future__ import annotations

import shlex
import time
from datetime import datetime, timezone

from trainyard.laptop.credentials import USER
from trainyard.laptop.demo_inputs import demo_portfolio, recent_data_dates, write_inputs
from trainyard.laptop.environment import cli_environment
from trainyard.laptop.settings import Settings
from trainyard.laptop.stack import Stack, running_stack, start_log_server
from trainyard.laptop.stopping import StackStoppedError
from trainyard.laptop.timeline import Timeline

_DATE_LOOK_SECONDS = 60


def up(settings: Settings, timeline: Timeline) -> int:
    """Start everything and stay; the exit code is 0 where a person ended it."""
    timeline.say("starting PostgreSQL, local AWS and Airflow")
    try:
        with running_stack(settings, command="make up", timeline=timeline) as stack:
            start_log_server(stack)
            timeline.say(_welcome(stack))
            _stay(settings)
    except StackStoppedError as stopped:
        if stopped.signal_number is None:
            raise
        timeline.say("stopped; nothing is left running")
    return 0


def _stay(settings: Settings) -> None:
    """Stay until something raises, and see that a new day finds its features."""
    written = None
    while True:
        newest = recent_data_dates(demo_portfolio(settings.dags), datetime.now(tz=timezone.utc))[0]
        if written is not None and newest != written:
            write_inputs(settings)
        written = newest
        time.sleep(_DATE_LOOK_SECONDS)


def _welcome(stack: Stack) -> str:
    settings = stack.settings
    exports = " ".join(f"{name}={shlex.quote(value)}" for name, value in cli_environment(settings).items())
    return f"""
ready after {stack.timeline.seconds:.0f} s

  Airflow     {settings.airflow_url}    user {USER}, password {stack.password}
  local AWS   {settings.aws_url}    any keys: EMR and S3, buckets trainyard-features and trainyard-output
  logs        {settings.logs}

The command line tools, in another terminal:

  export {exports}
  .venv/bin/trainyard models
  .venv/bin/airflow backfill create --dag-id demo --from-date … --to-date …

Ctrl-C, or `make down` in another terminal, stops everything.
"""
