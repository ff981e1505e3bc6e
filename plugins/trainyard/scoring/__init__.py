"""An artifact and rows → scores, probabilities and decisions, with numpy and nothing else.

Copy this folder into an application, or import it: it needs neither Airflow nor Spark nor a database.

    scorer = read_artifact(content)
    scored = scorer.score(libsvm_rows(lines, num_features=scorer.num_features))
    scored.decisions
"""

from trainyard.scoring.artifact import Scored, Scorer, read_artifact, scorer_of
from trainyard.scoring.numbers import ArtifactError
from trainyard.scoring.rows import Rows, RowsError, dense_rows, libsvm_rows

__all__ = [
    "ArtifactError",
    "Rows",
    "RowsError",
    "Scored",
    "Scorer",
    "dense_rows",
    "libsvm_rows",
    "read_artifact",
    "scorer_of",
]
