"""A portfolio's YAML file → validated, frozen values; every mistake of the file at once.

In: the path of ``<name>.yaml``. Out: a :class:`Portfolio`, or a :class:`PortfolioError` that holds one
:class:`Mistake` for each thing to correct. No Airflow, no AWS, no Spark: a file can be checked anywhere.
"""

from trainyard.portfolio.cluster import GRACE_MINUTES, Cluster
from trainyard.portfolio.decisions import FixedThreshold, Imbalance, Threshold
from trainyard.portfolio.gate import Approval, Bound, Gate
from trainyard.portfolio.inputs import Inputs, InputSplit, NegativesKept
from trainyard.portfolio.instances import InstanceGroup, WorkerGroup
from trainyard.portfolio.learners import Learner
from trainyard.portfolio.load import PortfolioOfOne, load_one_model, load_portfolio
from trainyard.portfolio.mistakes import Mistake, PortfolioError
from trainyard.portfolio.overrides import overridden
from trainyard.portfolio.schema import json_schema
from trainyard.portfolio.values import MOST_RETRIES, Connections, Model, Portfolio

__all__ = [
    "GRACE_MINUTES",
    "MOST_RETRIES",
    "Approval",
    "Bound",
    "Cluster",
    "Connections",
    "FixedThreshold",
    "Gate",
    "Imbalance",
    "InputSplit",
    "Inputs",
    "InstanceGroup",
    "Learner",
    "Mistake",
    "Model",
    "NegativesKept",
    "Portfolio",
    "PortfolioError",
    "PortfolioOfOne",
    "Threshold",
    "WorkerGroup",
    "json_schema",
    "load_one_model",
    "load_portfolio",
    "overridden",
]
