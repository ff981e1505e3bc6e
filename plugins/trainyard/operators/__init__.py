"""The kinds of task in a portfolio's DAG, one module each, and what they share.

Each reads its settings from the DAG file it is built from and the run's plan from ``plan``'s XCom.
"""

from trainyard.operators.create import CreateTrainingCluster
from trainyard.operators.freshness import Freshness
from trainyard.operators.plan import Plan
from trainyard.operators.publish import Publish
from trainyard.operators.rollback import ACTIONS, Rollback
from trainyard.operators.run_plan import CREATE_TASK, PLAN_TASK, PUBLISH_TASK, WAIT_TASK, RunPlan
from trainyard.operators.wait import WaitForTraining

__all__ = [
    "ACTIONS",
    "CREATE_TASK",
    "PLAN_TASK",
    "PUBLISH_TASK",
    "WAIT_TASK",
    "CreateTrainingCluster",
    "Freshness",
    "Plan",
    "Publish",
    "Rollback",
    "RunPlan",
    "WaitForTraining",
]
