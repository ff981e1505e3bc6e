"""Launching and adopting by ``create_cluster``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from airflow.sdk.exceptions import AirflowFailException

from trainyard.operators import CreateTrainingCluster

if TYPE_CHECKING:
    from conftest import Shop


def test_a_missing_input_tells_publish_why_there_is_no_attempt(shop: Shop) -> None:
    shop.s3.delete_object(Bucket=shop.bucket, Key="hotels/2026-11-22/train/_SUCCESS")
    context = shop.context()
    task = CreateTrainingCluster(task_id="create_cluster", portfolio=shop.portfolio, model_name="hotels")
    with pytest.raises(AirflowFailException, match="input_missing"):
        task.execute(context)
    assert context["ti"].pushed["not_launched"]["code"] == "input_missing"
