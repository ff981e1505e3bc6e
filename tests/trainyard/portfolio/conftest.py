"""A portfolio as small as can be, and what a test wants to know of a changed one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from trainyard.portfolio import Portfolio, PortfolioError, load_portfolio

# a busy machine is no reason to fail
settings.register_profile("portfolio", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("portfolio")

SMALLEST = """\
portfolio: small
schedule: null
start_date: 2026-11-01
owner: data-science
inputs:
  train: s3://features/{model}/{data_date}/train/
  test: s3://features/{model}/{data_date}/test/
output_root: s3://output/models
defaults:
  num_features: 7
  learner:
    params:
      regParam: 0.01
  cluster:
    primary:
      instance_type: m7g.large
    core:
      instance_type: m7g.xlarge
      count: 2
    log_uri: s3://output/logs/
models:
  hotels:
"""

Load = Callable[[str], Portfolio]
Mistakes = Callable[[str], list[str]]


@pytest.fixture
def smallest() -> str:
    """The text of a valid portfolio named ``small`` that says only what it must."""
    return SMALLEST


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    """Loads a text as the file ``small.yaml`` of the current folder."""
    monkeypatch.chdir(tmp_path)

    def load_text(text: str) -> Portfolio:
        path = Path("small.yaml")
        path.write_text(text, encoding="utf-8")
        return load_portfolio(path)

    return load_text


@pytest.fixture
def mistakes(load: Load) -> Mistakes:
    """The lines of the error of a text that must be refused."""

    def mistakes_of(text: str) -> list[str]:
        with pytest.raises(PortfolioError) as caught:
            load(text)
        return str(caught.value).splitlines()

    return mistakes_of
