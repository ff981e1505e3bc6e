"""A training's attempt → the RunJobFlow request that launches its cluster. Pure: values in, a dict for boto3 out."""

from trainyard.job_flow.request import job_flow_request
from trainyard.job_flow.step import JobCode
from trainyard.job_flow.tags import (
    DEPLOYMENT_TAG,
    MAXIMUM_AGE_TAG,
    TRAINING_TAG,
    cluster_name,
    deployment_prefix,
)

__all__ = [
    "DEPLOYMENT_TAG",
    "MAXIMUM_AGE_TAG",
    "TRAINING_TAG",
    "JobCode",
    "cluster_name",
    "deployment_prefix",
    "job_flow_request",
]
