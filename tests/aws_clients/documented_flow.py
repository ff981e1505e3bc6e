"""The amazon provider's own documented EMR flow, of stock operators only, and a program that runs one of its DAGs once.

https://airflow.apache.org/docs/apache-airflow-providers-amazon/stable/operators/emr/emr.html, in its order: create a
cluster that is kept alive, modify its step concurrency, add steps, wait for one, terminate, wait for the end. Beside
it, a cluster that ends by itself, whose end is waited for from its first moment on.
`FLOW_DEFERS` says who defers: nobody, the `operators`, or the `sensors`. `FLOW_BUCKET` holds `pi.py`.
"""

from __future__ import annotations

import os
import sys
from datetime import datetime, timezone
from typing import Any

from airflow.providers.amazon.aws.operators.emr import (
    EmrAddStepsOperator,
    EmrCreateJobFlowOperator,
    EmrModifyClusterOperator,
    EmrTerminateJobFlowOperator,
)
from airflow.providers.amazon.aws.sensors.emr import EmrJobFlowSensor, EmrStepSensor
from airflow.sdk import DAG, TriggerRule

BUCKET = os.environ["FLOW_BUCKET"]
OPERATORS_DEFER = os.environ["FLOW_DEFERS"] == "operators"
SENSORS_DEFER = os.environ["FLOW_DEFERS"] == "sensors"

JOB_FLOW: dict[str, Any] = {
    "Name": "documented-flow",
    "ReleaseLabel": "emr-7.13.0",
    "Applications": [{"Name": "Spark"}],
    "LogUri": f"s3://{BUCKET}/logs/",
    "Instances": {
        "InstanceGroups": [
            {
                "Name": "Primary node",
                "Market": "ON_DEMAND",
                "InstanceRole": "MASTER",
                "InstanceType": "m5.xlarge",
                "InstanceCount": 1,
            }
        ],
        "KeepJobFlowAliveWhenNoSteps": True,
        "TerminationProtected": False,
    },
    "JobFlowRole": "EMR_EC2_DefaultRole",
    "ServiceRole": "EMR_DefaultRole",
}


def spark_step(name: str, partitions: int) -> dict[str, Any]:
    return {
        "Name": name,
        "ActionOnFailure": "CONTINUE",
        "HadoopJarStep": {
            "Jar": "command-runner.jar",
            "Args": ["spark-submit", "--deploy-mode", "cluster", f"s3://{BUCKET}/pi.py", str(partitions)],
        },
    }


with DAG(
    "documented_flow", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=timezone.utc), catchup=False
) as dag:
    create_job_flow = EmrCreateJobFlowOperator(
        task_id="create_job_flow",
        job_flow_overrides=JOB_FLOW,
        emr_conn_id=None,
        wait_for_completion=True,
        waiter_delay=1,
        waiter_max_attempts=300,
        deferrable=OPERATORS_DEFER,
    )
    modify_cluster = EmrModifyClusterOperator(
        task_id="modify_cluster", cluster_id=create_job_flow.output, step_concurrency_level=2
    )
    add_steps = EmrAddStepsOperator(
        task_id="add_steps",
        job_flow_id=create_job_flow.output,
        steps=[spark_step("calculate_pi", 2), spark_step("calculate_pi_again", 3)],
        waiter_delay=1,
        waiter_max_attempts=300,
        deferrable=OPERATORS_DEFER,
    )
    wait_for_step = EmrStepSensor(
        task_id="wait_for_step",
        job_flow_id=create_job_flow.output,
        step_id="{{ task_instance.xcom_pull(task_ids='add_steps')[1] }}",
        poke_interval=1,
        timeout=300,
        max_attempts=300,
        deferrable=SENSORS_DEFER,
    )
    remove_cluster = EmrTerminateJobFlowOperator(
        task_id="remove_cluster",
        job_flow_id=create_job_flow.output,
        trigger_rule=TriggerRule.ALL_DONE,
        waiter_delay=1,
        waiter_max_attempts=300,
        deferrable=OPERATORS_DEFER,
    )
    check_job_flow = EmrJobFlowSensor(
        task_id="check_job_flow",
        job_flow_id=create_job_flow.output,
        poke_interval=1,
        timeout=300,
        deferrable=SENSORS_DEFER,
    )
    create_job_flow >> modify_cluster >> add_steps >> wait_for_step >> remove_cluster >> check_job_flow

with DAG(
    "self_ending_flow", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=timezone.utc), catchup=False
) as self_ending:
    create_self_ending = EmrCreateJobFlowOperator(
        task_id="create_job_flow",
        job_flow_overrides={
            **JOB_FLOW,
            "Name": "self-ending-flow",
            "Instances": {**JOB_FLOW["Instances"], "KeepJobFlowAliveWhenNoSteps": False},
            "Steps": [spark_step("calculate_pi", 2)],
        },
        emr_conn_id=None,
    )
    create_self_ending >> EmrJobFlowSensor(
        task_id="check_job_flow",
        job_flow_id=create_self_ending.output,
        poke_interval=1,
        timeout=240,
        max_attempts=240,
        deferrable=SENSORS_DEFER,
    )


if __name__ == "__main__":
    run = {each.dag_id: each for each in (dag, self_ending)}[sys.argv[1]].test()
    for task in sorted(run.get_task_instances(), key=lambda instance: instance.start_date):
        sys.stdout.write(f"{task.task_id}={task.state}\n")
