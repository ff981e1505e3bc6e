"""``trainyard score``: rows in, scores out, by the artifact that serves or one in a file, without Spark."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trainyard.cli.ending import WRONG, end
from trainyard.cli.live import OptionalModel, artifact_of
from trainyard.cli.serving import InPortfolio

if TYPE_CHECKING:
    from trainyard.scoring import Scorer

LINES_AT_A_TIME = 50_000


def score(
    model: OptionalModel = None,
    *,
    portfolio: InPortfolio = None,
    artifact: Annotated[Path | None, typer.Option(help="An artifact.json or artifact.json.gz.")] = None,
    feature_space: Annotated[
        str | None, typer.Option(help="What the rows' features mean; refused unless it is the model's.")
    ] = None,
) -> None:
    """Score LibSVM rows from standard input: score, probability and decision of each row, separated by tabs.

    A row's label may be missing and is not looked at. Blank lines have no row.
    """
    from trainyard.scoring import ArtifactError, RowsError, read_artifact  # noqa: PLC0415

    content = artifact_of(model, portfolio=portfolio, file=artifact)
    try:
        scorer = read_artifact(content)
    except ArtifactError as error:
        end(f"the artifact cannot score: {error}", WRONG)
    sys.stdout.write("score\tprobability\tdecision\n")
    try:
        for part in _scored(scorer, sys.stdin, feature_space):
            sys.stdout.writelines(part)
    except RowsError as error:
        end(str(error), WRONG)
    except UnicodeDecodeError:
        end("standard input is no UTF-8 text", WRONG)


def _scored(scorer: Scorer, lines: Iterable[str], feature_space: str | None) -> Iterator[list[str]]:
    """Lines of output for each part of the input."""
    from trainyard.scoring import libsvm_rows  # noqa: PLC0415

    remaining, first_line = iter(lines), 1
    # an empty part as well, so that a wrong feature space is told before there are rows
    while True:
        part = list(islice(remaining, LINES_AT_A_TIME))
        rows = libsvm_rows(part, num_features=scorer.num_features, first_line=first_line)
        found = scorer.score(rows, feature_space=feature_space)
        probabilities = [""] * len(rows) if found.probabilities is None else found.probabilities.tolist()
        columns = zip(found.scores.tolist(), probabilities, found.decisions.tolist(), strict=True)
        yield [f"{score!r}\t{probability}\t{int(decided)}\n" for score, probability, decided in columns]
        if len(part) < LINES_AT_A_TIME:
            return
        first_line += len(part)
