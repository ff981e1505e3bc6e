"""The demo's result: what the two databases say of each model, as a table."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.table import Table

from trainyard.publishing import TrainingSummary

_NUMBERS = ("rows", "AUC", "log loss", "precision", "recall", "threshold", "seconds")


def result_table(summaries: Sequence[TrainingSummary]) -> Table:
    """A row for each model."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in (
        "model",
        "version",
        "data date",
        "rows",
        "AUC",
        "log loss",
        "precision",
        "recall",
        "threshold",
    ):
        table.add_column(name, justify="right" if name in _NUMBERS else "left", no_wrap=True)
    table.add_column("cluster", no_wrap=True)
    table.add_column("seconds", justify="right", no_wrap=True)
    for row in summaries:
        version = f"{row.version_id}{' (live)' if row.live else ''}" if row.version_id is not None else "none"
        table.add_row(
            row.model,
            version,
            row.data_date.isoformat(),
            f"{row.rows:,}" if row.rows is not None else "",
            *(_number(value) for value in (row.auc, row.log_loss, row.precision, row.recall, row.threshold)),
            row.cluster_id or "",
            f"{row.seconds:.0f}" if row.seconds is not None else "",
        )
    return table


def _number(value: float | None) -> str:
    return f"{value:.4f}" if value is not None else ""
