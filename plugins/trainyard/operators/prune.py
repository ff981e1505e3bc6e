"""``prune``: what portfolios no longer keep in their databases is let go of."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowFailException

from trainyard.connections import AirflowClients
from trainyard.portfolio import PortfolioError, load_portfolio
from trainyard.publishing.retention import prune

log = logging.getLogger(__name__)


class Prune(BaseOperator):
    """Empties old artifacts and drops old curves of every portfolio; one whose file is broken holds no other up.

    Returns, by portfolio, how many artifacts and curves went.

    :param folder: where the portfolios' files are
    """

    def __init__(self, *, folder: Path, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.folder = str(folder)

    def execute(self, context: Any) -> dict[str, dict[str, int]]:  # noqa: ARG002
        pruned, broken = {}, []
        for file in sorted(Path(self.folder).glob("*.yaml")):
            try:
                portfolio = load_portfolio(file)
            except PortfolioError as error:
                broken.append(str(error))
                continue
            clients = AirflowClients(portfolio.connections)
            found = prune(clients.app, clients.analytics, portfolio)
            log.info("%s: %d artifacts and %d curves let go of", portfolio.name, found.versions, found.curves)
            pruned[portfolio.name] = {"versions": found.versions, "curves": found.curves}
        if broken:
            raise AirflowFailException("; ".join(broken))
        return pruned
