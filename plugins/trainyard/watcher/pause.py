"""Waiting for nothing but time."""

from __future__ import annotations

from typing import Any

from airflow.providers.standard.triggers.temporal import DateTimeTrigger

from trainyard.watcher.base import WithoutDag


class PauseTrigger(WithoutDag, DateTimeTrigger):
    """Resumes its task at a time, as the stock trigger does, which would keep the DAG for as long."""

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return "trainyard.watcher.PauseTrigger", super().serialize()[1]
