"""The kinds of task in a portfolio's DAG, one module each, and what they share.

Each reads its settings from the DAG file it is built from and the run's plan from ``plan``'s XCom.
"""

from trainyard.operators.approve import Approve, answer_form
from trainyard.operators.create import CreateTrainingCluster
from trainyard.operators.freshness import Freshness
from trainyard.operators.judge import Judge
from trainyard.operators.plan import Plan
from trainyard.operators.prune import Prune
from trainyard.operators.publish import Publish
from trainyard.operators.reap import Reap
from trainyard.operators.rollback import ACTIONS, Rollback
from trainyard.operators.run_plan import (
    APPROVE_TASK,
    CREATE_TASK,
    JUDGE_TASK,
    PLAN_TASK,
    PUBLISH_TASK,
    WAIT_TASK,
    RunPlan,
)
from trainyard.operators.wait import WaitForTraining

__all__ = [
    "ACTIONS",
    "APPROVE_TASK",
    "CREATE_TASK",
    "JUDGE_TASK",
    "PLAN_TASK",
    "PUBLISH_TASK",
    "WAIT_TASK",
    "Approve",
    "CreateTrainingCluster",
    "Freshness",
    "Judge",
    "Plan",
    "Prune",
    "Publish",
    "Reap",
    "Rollback",
    "RunPlan",
    "WaitForTraining",
    "answer_form",
]
