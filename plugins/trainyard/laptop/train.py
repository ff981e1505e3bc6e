"""``train``: the demo's models in a stack that somebody else started, such as the one of docker-compose.yaml.

Where its parts answer, and with what password, is in the environment, see :func:`read_running_settings`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone

from trainyard.databases import engine, upgrade_analytics_db, upgrade_app_db
from trainyard.laptop.airflow_api import AirflowApi, wait_for_answer
from trainyard.laptop.demo import train_and_tell
from trainyard.laptop.demo_inputs import write_inputs
from trainyard.laptop.environment import database_url
from trainyard.laptop.settings import Settings, SettingsError
from trainyard.laptop.stack import Stack
from trainyard.laptop.stopping import stopping
from trainyard.laptop.supervisor import Supervisor
from trainyard.laptop.timeline import Timeline

_URLS = ("TRAINYARD_AIRFLOW_URL", "TRAINYARD_LOCAL_AWS_URL", "TRAINYARD_POSTGRES_URL")
_PASSWORD = "TRAINYARD_ADMIN_PASSWORD"  # noqa: S105 - the variable's name
_ANSWER_SECONDS = 60.0


@dataclass(frozen=True)
class RunningSettings(Settings):
    """A stack that runs already: the URLs of its parts, without a path, and the password of Airflow's user."""

    airflow: str = ""
    aws: str = ""
    postgres_server: str = ""
    password: str = ""

    @property
    def airflow_url(self) -> str:
        return self.airflow

    @property
    def aws_url(self) -> str:
        return self.aws

    @property
    def postgres_url(self) -> str:
        return self.postgres_server


def read_running_settings(environ: Mapping[str, str], settings: Settings) -> RunningSettings:
    """The running stack that ``environ`` names, the rest as in ``settings``; raises SettingsError."""
    missing = [variable for variable in (*_URLS, _PASSWORD) if not environ.get(variable)]
    if missing:
        raise SettingsError(f"train needs to know the running stack; set {', '.join(missing)}")
    airflow, aws, postgres = (environ[variable].rstrip("/") for variable in _URLS)
    return RunningSettings(
        state=settings.state,
        ports=settings.ports,
        dags=settings.dags,
        demo_limit_minutes=settings.demo_limit_minutes,
        airflow=airflow,
        aws=aws,
        postgres_server=postgres,
        password=environ[_PASSWORD],
    )


def train(settings: RunningSettings, timeline: Timeline) -> int:
    """Train the demo's models; the exit code is 0 only where every one was published."""
    with _running_stack(settings, timeline) as stack:
        return 0 if train_and_tell(stack) else 1


@contextmanager
def _running_stack(settings: RunningSettings, timeline: Timeline) -> Iterator[Stack]:
    api = AirflowApi(url=settings.airflow_url, password=settings.password)
    # owns no process: only where the logs lie is asked of it
    supervisor = Supervisor(settings=settings, stack="", environment={})
    settings.run.mkdir(parents=True, exist_ok=True)
    with stopping(lambda: None):
        with timeline.step("Airflow", settings.airflow_url):
            wait_for_answer(api, seconds=_ANSWER_SECONDS)
        with timeline.step("demo features and schemas"):
            write_inputs(settings)
            upgrade_app_db(engine(database_url(settings, "app")))
            upgrade_analytics_db(engine(database_url(settings, "analytics")))
        # what the stack has read since it started counts
        beginning = datetime.min.replace(tzinfo=timezone.utc)
        yield Stack(settings, supervisor, api, settings.password, timeline, beginning)
