"""A portfolio → its DAG: plan → per model create_cluster → wait_for_training → publish → freshness.

The only place that builds operators. Task ids are static and sorted by model name, so that history stays with its model
and adding one moves nothing.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from airflow.configuration import conf
from airflow.sdk import DAG, BaseOperator, CronTriggerTimetable, Param, TaskGroup, get_parsing_context
from airflow.sdk.definitions.param import ParamsDict

from trainyard.operators import (
    ACTIONS,
    APPROVE_TASK,
    CREATE_TASK,
    JUDGE_TASK,
    PLAN_TASK,
    PUBLISH_TASK,
    WAIT_TASK,
    Approve,
    CreateTrainingCluster,
    Freshness,
    Judge,
    Plan,
    Prune,
    Publish,
    Reap,
    Rollback,
    WaitForTraining,
    answer_form,
)
from trainyard.portfolio import Approval, Portfolio, PortfolioOfOne, load_one_model, load_portfolio

_DOCUMENTATION = """
Each model is trained on an EMR cluster of its own; what is good is published in one switch, and `freshness` turns the
run red where a chosen model failed.

A run takes `models` (none chosen: all), `data_date` (empty: the run's day less the portfolio's lag), `overrides` of the
models' settings, and `publish` (empty: yes, unless settings are overridden).
"""
_ROLLBACK_DOCUMENTATION = """
Lets another version of a model serve, and pins it, so that the next night's run does not undo it; or pins or unpins
what serves. Who did it and why is in the log of activations (`trainyard history`).
"""
_REAPER_DOCUMENTATION = """
Ends this deployment's clusters that by the ledger and their run nobody owns, and those over age; no others. Where
Airflow does not say how its runs stand, only those over age. `trainyard reap --dry-run` says what it would end.

`prune` lets go of artifacts and curves that portfolios no longer keep, as `trainyard prune` does.
"""
# What was launched is waited for before more is launched: Airflow's own rule would have the first wait begin after the
# last launch, which the pace may put off for long, and nobody would see a training fail until then.
_WAIT_FIRST = {"weight_rule": "absolute", "priority_weight": 4}
_LAUNCH_NEXT = {"weight_rule": "absolute", "priority_weight": 3}
# The ledger counts a model's retries. Airflow's tries of the wait are also spent on a database or a service that is
# away for some minutes, which is no failure of the training.
_TRIES_FOR_OUTAGES = 10
# Airflow hands the whole DAG to the triggerer with each wait that begins there, two and a half kilobytes a model, and
# with all of them at once where a triggerer starts anew.
_BEGUN_IN_TRIGGERER = 200
_AWS_RETRIES = {"retries": 3, "retry_delay": timedelta(seconds=30), "retry_exponential_backoff": True}


def portfolio_dag(dag_file: str) -> DAG:
    """The DAG of the portfolio that has the DAG file's stem: ``dags/demo.py`` → ``dags/portfolios/demo.yaml``.

    :param dag_file: the DAG file's ``__file__``
    :raises trainyard.portfolio.PortfolioError: every mistake of the portfolio's file, which Airflow shows as this
        DAG's import error
    """
    path = Path(dag_file)
    file = path.parent / "portfolios" / f"{path.stem}.yaml"
    one = _of_this_task(file)
    if one is not None:
        return build_dag(one.portfolio, model_count=one.model_count)
    return build_dag(load_portfolio(file))


def _of_this_task(file: Path) -> PortfolioOfOne | None:
    """On a worker that runs a task of one model, that model alone: a thousand would cost it a second each time."""
    context = get_parsing_context()
    model, _, task = (context.task_id or "").rpartition(".")
    if context.dag_id != file.stem or task not in {CREATE_TASK, WAIT_TASK}:
        return None
    return load_one_model(file, model)


def build_dag(portfolio: Portfolio, *, model_count: int | None = None) -> DAG:
    """The DAG of a portfolio.

    :param model_count: of all models, where the portfolio is that of one model's task
    """
    models = model_count or len(portfolio.models)
    dag = DAG(
        dag_id=portfolio.name,
        description=f"Trains and publishes {models} models, each on an EMR cluster of its own.",
        schedule=portfolio.schedule
        and CronTriggerTimetable(portfolio.schedule, timezone=portfolio.time_zone),
        start_date=datetime.combine(
            portfolio.start_date, datetime.min.time(), tzinfo=ZoneInfo(portfolio.time_zone)
        ),
        catchup=False,
        tags=[*portfolio.tags],
        default_args={"owner": portfolio.owner},
        doc_md=_DOCUMENTATION,
    )
    after_waits: list[BaseOperator]
    with dag:
        plan = Plan(task_id=PLAN_TASK, portfolio=portfolio, retries=2, retry_delay=timedelta(seconds=30))
        publish = Publish(task_id=PUBLISH_TASK, portfolio=portfolio, trigger_rule="all_done", **_AWS_RETRIES)
        freshness = Freshness(task_id="freshness", min_fresh=portfolio.min_fresh, retries=0)
        after_waits = [publish]
        if portfolio.approval is not None:
            after_waits.append(_judge(portfolio, portfolio.approval, publish))
        in_triggerer = models <= _begun_in_triggerer()
        for name in sorted(portfolio.models):
            create, wait = _training(portfolio, name, in_triggerer=in_triggerer)
            plan >> create >> wait >> after_waits
        publish >> freshness
    # Last: each task would else be made with a copy of them, and of all models' names in them. A model's task has the
    # run's plan instead, and would have to check them anew.
    if model_count is None:
        dag.params = ParamsDict(_params(sorted(portfolio.models)))
    return dag


def _training(
    portfolio: Portfolio, name: str, *, in_triggerer: bool
) -> tuple[CreateTrainingCluster, WaitForTraining]:
    with TaskGroup(group_id=name):
        create = CreateTrainingCluster(
            task_id=CREATE_TASK,
            portfolio=portfolio,
            model_name=name,
            hands_over=in_triggerer,
            **_LAUNCH_NEXT,
            **_AWS_RETRIES,
        )
        wait = WaitForTraining(
            task_id=WAIT_TASK,
            portfolio=portfolio,
            model_name=name,
            launched_by=create.task_id if in_triggerer else None,
            **_WAIT_FIRST,
            retries=portfolio.models[name].retries + _TRIES_FOR_OUTAGES,
            retry_delay=timedelta(seconds=30),
        )
    return create, wait


def _begun_in_triggerer() -> int:
    """Up to how many models a DAG's waits begin in the triggerer, by Airflow's configuration of the deployment."""
    return int(conf.getint("trainyard", "models_begun_in_triggerer", fallback=_BEGUN_IN_TRIGGERER))


def rollback_dag(*, app_db: str = "app_db") -> DAG:
    """The DAG by which a person takes a model back where there is no shell.

    :param app_db: Airflow connection to the application database
    """
    with DAG(
        dag_id="rollback",
        description="Lets another version of a model serve, or pins or unpins the one that does.",
        schedule=None,
        start_date=None,
        catchup=False,
        is_paused_upon_creation=False,
        tags=["trainyard"],
        params=_rollback_params(),
        doc_md=_ROLLBACK_DOCUMENTATION,
    ) as dag:
        Rollback(task_id="rollback", app_db=app_db, retries=2, retry_delay=timedelta(seconds=30))
    return dag


def reaper_dag(dag_file: str, *, app_db: str = "app_db") -> DAG:
    """The DAG that ends clusters that outlived their need, every hour: whatever left them, they cost money.

    It also lets go of artifacts and curves that portfolios no longer keep.

    :param dag_file: the DAG file's ``__file__``; the portfolios are in the folder beside it
    :param app_db: Airflow connection to the application database
    """
    with DAG(
        dag_id="reaper",
        description="Ends clusters of this deployment that no run owns, or that are over age.",
        schedule=CronTriggerTimetable("17 * * * *", timezone="UTC"),
        start_date=datetime(2026, 1, 1, tzinfo=ZoneInfo("UTC")),
        catchup=False,
        max_active_runs=1,
        is_paused_upon_creation=False,
        tags=["trainyard"],
        doc_md=_REAPER_DOCUMENTATION,
    ) as dag:
        Reap(task_id="reap", app_db=app_db, **_AWS_RETRIES)
        Prune(task_id="prune", folder=Path(dag_file).parent / "portfolios", **_AWS_RETRIES)
    return dag


def _rollback_params() -> dict[str, Param]:
    return {
        "action": Param(
            "rollback", type="string", enum=[*ACTIONS], description="What to do; a rollback pins as well."
        ),
        "model": Param(
            type="string",
            pattern=r"^([a-z][a-z0-9_]*\.)?[a-z][a-z0-9_]*$",
            description="The model, or portfolio.model where several portfolios have one of its name.",
        ),
        "version": Param(
            None,
            type=["null", "integer"],
            description="The version that shall serve; empty: the one that served before.",
        ),
        "reason": Param(type="string", minLength=3, description="Why; goes into the log."),
    }


def _judge(portfolio: Portfolio, approval: Approval, publish: Publish) -> Judge:
    """The task that holds what was trained against its gates, before ``approve`` and ``publish``."""
    judge = Judge(task_id=JUDGE_TASK, portfolio=portfolio, trigger_rule="all_done", **_AWS_RETRIES)
    form = answer_form(sorted(portfolio.models))
    approve = Approve(
        task_id=APPROVE_TASK, portfolio=portfolio, approval=approval, params=form, **_AWS_RETRIES
    )
    judge >> approve >> publish
    judge >> publish
    return judge


def _params(names: list[str]) -> dict[str, Param]:
    return {
        "models": Param(
            [],
            type="array",
            items={"enum": names},
            examples=names,
            description="The models to train; none chosen means all.",
        ),
        "data_date": Param(
            None,
            type=["null", "string"],
            format="date",
            description="The day whose features are trained on; empty: the run's day less the portfolio's lag.",
        ),
        "publish": Param(
            None,
            type=["null", "boolean"],
            enum=[None, True, False],
            values_display={"None": "unless settings are overridden", "true": "yes", "false": "no"},
            description="No: metrics are recorded and no version is. Empty: yes, unless settings are overridden.",
        ),
        "overrides": Param(
            None,
            type=["null", "object"],
            description='Settings for this run only, merged over those of each chosen model: {"learner": {"params":'
            ' {"regParam": 0.01}}}. Such a run publishes nothing unless publish says so.',
        ),
    }
