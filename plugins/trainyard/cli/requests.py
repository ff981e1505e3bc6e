"""What a portfolio's models would ask EMR for, without AWS and Airflow: checked, and shown."""

from __future__ import annotations

import json
from typing import Any

from trainyard.job_code import read_job_source, staged_code
from trainyard.job_flow import job_flow_request
from trainyard.launch_check import request_mistakes
from trainyard.portfolio import Portfolio
from trainyard.training import Training


def request_of(portfolio: Portfolio, model_name: str, *, deployment: str) -> dict[str, Any]:
    """The RunJobFlow request of a model's first attempt in a run of the portfolio's first day."""
    day = portfolio.start_date
    training = Training(
        deployment=deployment,
        portfolio=portfolio.name,
        model=model_name,
        data_date=day,
        dag_id=portfolio.name,
        run_id=f"manual__{day.isoformat()}T00:00:00+00:00",
        output_root=portfolio.output_root,
    )
    return job_flow_request(
        training=training,
        attempt=1,
        cluster=portfolio.models[model_name].cluster,
        code=staged_code(portfolio.output_root, read_job_source().sha256),
    )


def mistakes_of(portfolio: Portfolio) -> list[str]:
    """What EMR would refuse of the models' requests; one line a mistake."""
    return [
        f"model {name}: {sentence}"
        for name in sorted(portfolio.models)
        for sentence in request_mistakes(request_of(portfolio, name, deployment="deployment"))
    ]


def shown(request: dict[str, Any]) -> str:
    """A request as text that ``aws emr run-job-flow --cli-input-json`` takes."""
    return json.dumps(request, indent=2, ensure_ascii=False)
