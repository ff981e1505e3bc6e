"""What a run's trainings left in S3 → the application database, which serves, and the analytics database."""

from trainyard.publishing.application import PublishedVersion, published_versions
from trainyard.publishing.approval import UNANSWERED, Answer, Policy
from trainyard.publishing.comparables import find_comparables
from trainyard.publishing.outcomes import ModelOutcome
from trainyard.publishing.records import NotLaunched
from trainyard.publishing.results import (
    LiveModel,
    TrainingSummary,
    VersionEvent,
    history,
    live_models,
    run_summary,
)
from trainyard.publishing.review import markdown_table, review_run
from trainyard.publishing.run import RunReport, publish_run
from trainyard.publishing.training_folder import ToldFailure, has_manifest, read_failure

__all__ = [
    "UNANSWERED",
    "Answer",
    "LiveModel",
    "ModelOutcome",
    "NotLaunched",
    "Policy",
    "PublishedVersion",
    "RunReport",
    "ToldFailure",
    "TrainingSummary",
    "VersionEvent",
    "find_comparables",
    "has_manifest",
    "history",
    "live_models",
    "markdown_table",
    "publish_run",
    "published_versions",
    "read_failure",
    "review_run",
    "run_summary",
]
