"""What a run's trainings left in S3 → the application database, which serves, and the analytics database."""

from trainyard.publishing.results import (
    LiveModel,
    TrainingSummary,
    VersionEvent,
    history,
    live_models,
    run_summary,
)
from trainyard.publishing.run import ModelOutcome, NotLaunched, RunReport, publish_run
from trainyard.publishing.training_folder import ToldFailure, read_failure

__all__ = [
    "LiveModel",
    "ModelOutcome",
    "NotLaunched",
    "RunReport",
    "ToldFailure",
    "TrainingSummary",
    "VersionEvent",
    "history",
    "live_models",
    "publish_run",
    "read_failure",
    "run_summary",
]
