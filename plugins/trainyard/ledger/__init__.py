"""The ledger: every cluster tried for every training, what it reserves, who waits for a slot, how launches are paced.

Tables ``attempt``, ``listing`` and ``launch_pace`` of schema ``operations`` of the application database.
"""

from trainyard.ledger.admission import (
    Limits,
    Listing,
    admit,
    listed_seconds_ago,
    listing_lock,
    record_listing,
)
from trainyard.ledger.attempts import (
    Attempt,
    ClusterId,
    LedgerError,
    Outcome,
    Reservation,
    State,
    StepId,
    allocate,
    attempts,
    attempts_by_cluster_name,
    attempts_by_training,
    attempts_without_cluster,
    aws_connections,
    end,
    record_launch,
    record_request,
    record_step,
    record_wait,
    take_back_request,
)
from trainyard.ledger.pacing import Pace, launch_delay_seconds

__all__ = [
    "Attempt",
    "ClusterId",
    "LedgerError",
    "Limits",
    "Listing",
    "Outcome",
    "Pace",
    "Reservation",
    "State",
    "StepId",
    "admit",
    "allocate",
    "attempts",
    "attempts_by_cluster_name",
    "attempts_by_training",
    "attempts_without_cluster",
    "aws_connections",
    "end",
    "launch_delay_seconds",
    "listed_seconds_ago",
    "listing_lock",
    "record_launch",
    "record_listing",
    "record_request",
    "record_step",
    "record_wait",
    "take_back_request",
]
