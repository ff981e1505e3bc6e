"""What publishing a run would put live, told before it does: for whoever has to say whether it may."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine

from trainyard.publishing.application import Candidate, champions, decide_on, published_versions
from trainyard.publishing.approval import Policy
from trainyard.publishing.deciding import Champion, Decision
from trainyard.publishing.formats import Metrics
from trainyard.publishing.records import candidates_of, read_records
from trainyard.publishing.spool import Spool
from trainyard.training import Training

_COLUMNS = ("model", "becomes", "log loss", "champion", "its log loss", "change", "AUC", "yes", "why")


@dataclass(frozen=True)
class Reviewed:
    """One model's challenger beside what serves.

    :param serves: the version that serves now, and the data date it is of
    """

    training: Training
    attempt: int
    decision: Decision
    metrics: Metrics
    serves: Champion | None

    @property
    def model(self) -> str:
        return self.training.model

    @property
    def waits(self) -> bool:
        """Whether a person has to say that it may serve."""
        return self.decision.outcome == "waiting_for_approval"


def review_run(app: Engine, s3: Any, *, trainings: Sequence[Training], policy: Policy) -> list[Reviewed]:
    """What each trained model would become, without an answer yet.

    One that failed is left out, and one that was published already: an answer would change nothing about it.
    """
    published = published_versions(app, training_ids=[training.training_id for training in trainings])
    trainings = [training for training in trainings if training.training_id not in published]
    if not trainings:
        return []
    with Spool() as spool:
        records = read_records(app, s3, trainings, {}, spool)
        candidates = candidates_of(records, spool, policy)
        models = [candidate.training.model for candidate in candidates]
        with app.connect() as connection:
            live = champions(connection, portfolio=trainings[0].portfolio, models=models)
        return [_reviewed(candidate, live, spool) for candidate in candidates]


def _reviewed(candidate: Candidate, live: Mapping[str, Champion], spool: Spool) -> Reviewed:
    champion = live.get(candidate.training.model)
    decision, metrics = decide_on(candidate, champion), candidate.trained.metrics(spool)
    return Reviewed(candidate.training, candidate.attempt, decision, metrics, champion)


def markdown_table(reviewed: Sequence[Reviewed]) -> str:
    """The challengers against what serves, a row each, those that wait for an answer first."""
    rows = sorted(reviewed, key=lambda each: (not each.waits, each.model))
    lines = [_line(_COLUMNS), _line("---" for _ in _COLUMNS), *(_line(_cells(each)) for each in rows)]
    return "\n".join(lines)


def _line(cells: Any) -> str:
    return "| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |"


def _cells(reviewed: Reviewed) -> tuple[str, ...]:
    on_test = reviewed.metrics.metrics.get("test", {})
    comparison = reviewed.metrics.comparisons.champion
    serves, old, change = reviewed.serves, None, None
    if comparison is not None:
        old, change = comparison.metrics.get("log_loss"), comparison.differences.get("log_loss")
    return (
        reviewed.model,
        "live, if approved" if reviewed.waits else reviewed.decision.outcome.replace("_", " "),
        _figure(on_test.get("log_loss")),
        "none" if serves is None else f"version {serves.version_id} of {serves.data_date}",
        _figure(old),
        "" if change is None or not old else _change(change.value / old, change.low, change.high, old),
        _figure(on_test.get("auc")),
        _figure(on_test.get("positive_rate")),
        "" if reviewed.waits else reviewed.decision.sentence,
    )


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def _change(share: float, low: float | None, high: float | None, old: float) -> str:
    interval = (
        "" if low is None or high is None else f" ({100 * low / old:+.2f}% to {100 * high / old:+.2f}%)"
    )
    return f"{100 * share:+.2f}%{interval}"
