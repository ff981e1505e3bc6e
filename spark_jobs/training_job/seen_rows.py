"""How many test rows stand in train too, labels ignored: such a test asks for what was learned by heart."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import functions as F  # noqa: N812 - as all of Spark's own documentation has it

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from training_job.loading import Split

# the table by which Spark joins what it sends to every executor takes some 100 bytes of each
ROWS_SENT = 2_000_000


def share_seen(test: Split, train: Split) -> float:
    """Share of the rows of ``test`` whose features equal those of a row of ``train``, by a hash of 64 bits."""
    of_test, of_train = _hashed(test), _hashed(train)
    if test.row_count + train.row_count <= ROWS_SENT:
        # test's hashes go to where train's are, and those that train has too go back
        of_both = of_train.join(F.broadcast(of_test), "pattern", "left_semi")
        seen = of_test.join(F.broadcast(of_both), "pattern", "left_semi")
    else:
        seen = of_test.join(of_train.distinct(), "pattern", "left_semi")
    return float(seen.count() / test.row_count)


def _hashed(split: Split) -> DataFrame:
    return split.rows.select(F.xxhash64("features").alias("pattern"))
