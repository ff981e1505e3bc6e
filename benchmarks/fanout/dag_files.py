"""The contestants as DAG files: ours by YAML, the amazon provider's documented example, and dag-factory's YAML.

In: a folder that Airflow parses, a number of models. Out: the files, each of them for the same clusters.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import yaml

BUCKET = "fanout"
FEATURES = 200
OURS, STOCK, DAG_FACTORY = "fanout", "stock", "dag_factory"
# a DAG of one model that runs before one of these
BEFORE = "before"

_EMPTY = "airflow.providers.standard.operators.empty.EmptyOperator"

_OUR_DAG = '''"""The portfolio of this name as an Airflow DAG."""

from trainyard.dag_factory import portfolio_dag

dag = portfolio_dag(__file__)
'''

# https://airflow.apache.org/docs/apache-airflow-providers-amazon/stable/operators/emr/emr.html, its automatic steps:
# RunJobFlow names no steps, so that of the documented sensors only the job flow's can follow it without a task between
_STOCK_DAG = '''"""A cluster and a deferrable sensor for each model, by Airflow and the amazon provider."""

from datetime import datetime, timezone

from airflow.providers.amazon.aws.operators.emr import EmrCreateJobFlowOperator
from airflow.providers.amazon.aws.sensors.emr import EmrJobFlowSensor
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, TaskGroup

MODELS = {models}
RETRIES = {{"retries": 3}}


def job_flow(model):
    return {{
        "Name": f"stock-{{model}}",
        "ReleaseLabel": "emr-7.13.0",
        "Applications": [{{"Name": "Spark"}}],
        "LogUri": "s3://{bucket}/logs/",
        "Instances": {{
            "InstanceGroups": [
                {{"InstanceRole": "MASTER", "InstanceType": "m7g.large", "InstanceCount": 1, "Market": "ON_DEMAND"}},
                {{"InstanceRole": "CORE", "InstanceType": "m7g.xlarge", "InstanceCount": 2, "Market": "SPOT"}},
            ],
            "KeepJobFlowAliveWhenNoSteps": False,
            "TerminationProtected": False,
        }},
        "Steps": [
            {{
                "Name": f"train {{model}}",
                "ActionOnFailure": "TERMINATE_CLUSTER",
                "HadoopJarStep": {{
                    "Jar": "command-runner.jar",
                    "Args": ["spark-submit", "--deploy-mode", "cluster", "s3://{bucket}/train.py", "--model", model],
                }},
            }}
        ],
        "JobFlowRole": "EMR_EC2_DefaultRole",
        "ServiceRole": "EMR_DefaultRole",
    }}


with DAG(
    "{name}", schedule=None, start_date=datetime(2026, 11, 1, tzinfo=timezone.utc), catchup=False
) as dag:
    plan = EmptyOperator(task_id="plan")
    publish = EmptyOperator(task_id="publish", trigger_rule="all_done")
    for model in MODELS:
        with TaskGroup(group_id=model):
            create = EmrCreateJobFlowOperator(
                task_id="create_cluster", job_flow_overrides=job_flow(model), emr_conn_id=None, **RETRIES
            )
            wait = EmrJobFlowSensor(
                task_id="wait_for_training", job_flow_id=create.output, deferrable=True, **RETRIES
            )
        plan >> create >> wait >> publish
'''

_DAG_FACTORY_DAG = '''"""dag_factory.yaml as an Airflow DAG."""

from pathlib import Path

from airflow.sdk import DAG  # for Airflow to know this for a DAG file
from dagfactory import load_yaml_dags

load_yaml_dags(globals_dict=globals(), config_filepath=str(Path(__file__).with_suffix(".yaml")))
'''


def model_names(models: int) -> list[str]:
    return [f"model_{number:04}" for number in range(models)]


def write_ours(folder: Path, models: Sequence[str], name: str = OURS) -> Path:
    """Our DAG file and its portfolio; the DAG file."""
    portfolios = folder / "portfolios"
    portfolios.mkdir(parents=True, exist_ok=True)
    # as a person writes it: what all share once, and what a model has of its own
    own = {
        model: {"learner": {"params": {"regParam": 0.001}}, "threshold": {"value": 0.2}} for model in models
    }
    portfolio = _portfolio() | {"portfolio": name, "models": own}
    (portfolios / f"{name}.yaml").write_text(_yaml(portfolio), encoding="utf-8")
    return _write(folder / f"{name}.py", _OUR_DAG)


def write_stock(folder: Path, models: Sequence[str], name: str = STOCK) -> Path:
    """The stock operators' DAG file."""
    folder.mkdir(parents=True, exist_ok=True)
    text = _STOCK_DAG.format(name=name, models=json.dumps(list(models)), bucket=BUCKET)
    return _write(folder / f"{name}.py", text)


def write_dag_factory(folder: Path, models: Sequence[str]) -> Path:
    """The stock DAG for dag-factory, and its DAG file; without task groups, which spares it a thousand of them."""
    folder.mkdir(parents=True, exist_ok=True)
    tasks: dict[str, dict[str, Any]] = {"plan": {"operator": _EMPTY}}
    for name in models:
        tasks[f"{name}_create_cluster"] = {
            "operator": "airflow.providers.amazon.aws.operators.emr.EmrCreateJobFlowOperator",
            "job_flow_overrides": _job_flow(name),
            "emr_conn_id": None,
            "retries": 3,
            "dependencies": ["plan"],
        }
        tasks[f"{name}_wait_for_training"] = {
            "operator": "airflow.providers.amazon.aws.sensors.emr.EmrJobFlowSensor",
            "job_flow_id": f"{{{{ ti.xcom_pull(task_ids='{name}_create_cluster') }}}}",
            "deferrable": True,
            "retries": 3,
            "dependencies": [f"{name}_create_cluster"],
        }
    waits = [f"{name}_wait_for_training" for name in models]
    tasks["publish"] = {"operator": _EMPTY, "trigger_rule": "all_done", "dependencies": waits}
    dag = {
        "default_args": {"start_date": "2026-11-01", "owner": "data-science"},
        "schedule": None,
        "catchup": False,
        "tasks": tasks,
    }
    (folder / f"{DAG_FACTORY}.yaml").write_text(_yaml({DAG_FACTORY: dag}), encoding="utf-8")
    return _write(folder / f"{DAG_FACTORY}.py", _DAG_FACTORY_DAG)


def _portfolio() -> dict[str, Any]:
    return {
        "schedule": None,
        "start_date": date(2026, 11, 1),
        "owner": "data-science",
        "inputs": {"train": f"s3://{BUCKET}/features/train/", "test": f"s3://{BUCKET}/features/test/"},
        "output_root": f"s3://{BUCKET}/models",
        "defaults": {
            "num_features": FEATURES,
            "learner": {"params": {"regParam": 0.0001}},
            "threshold": {"rule": "fixed", "value": 0.5},
            "cluster": {
                "release": "emr-7.13.0",
                "primary": {"instance_type": "m7g.large"},
                "core": {"instance_type": "m7g.xlarge", "count": 2, "market": "SPOT"},
                "log_uri": f"s3://{BUCKET}/logs/",
            },
        },
    }


def _job_flow(model: str) -> dict[str, Any]:
    """The stock DAG's request."""
    namespace: dict[str, Any] = {}
    source = _STOCK_DAG.format(name=STOCK, models="[]", bucket=BUCKET)
    begin, end = source.index("def job_flow"), source.index("with DAG(")
    exec(source[begin:end], namespace)  # noqa: S102 (our own text, so that both send the same)
    found: dict[str, Any] = namespace["job_flow"](model)
    return found


def _yaml(value: Any) -> str:
    return yaml.dump(value, Dumper=getattr(yaml, "CSafeDumper", yaml.SafeDumper), sort_keys=False)


def _write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path
