"""How many test rows stand in train too, labels ignored: such a test asks for what was learned by heart."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from pyspark.sql import functions as F  # noqa: N812 - as all of Spark's own documentation has it

from training_job.scored_rows import VALUES_ON_DRIVER
from training_job.together import together

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from training_job.loading import Split


def share_seen(test: Split, train: Split) -> float:
    """Share of the rows of ``test`` whose features equal those of a row of ``train``, by a hash of 64 bits."""
    if test.row_count + train.row_count <= VALUES_ON_DRIVER:
        of_test, of_train = together(partial(_hashes, test), partial(_hashes, train))
        return float(np.isin(of_test, of_train).mean())
    seen = _hashed(test.rows).join(_hashed(train.rows).distinct(), "pattern", "left_semi")
    return float(seen.count() / test.row_count)


def _hashed(rows: DataFrame) -> DataFrame:
    return rows.select(F.xxhash64("features").alias("pattern"))


def _hashes(split: Split) -> Any:
    """The hashes as one text: of many numbers, each would be boxed and pickled by itself."""
    sixteen_digits = F.lpad(F.hex("pattern"), 16, "0")
    (digits,) = _hashed(split.rows).agg(F.array_join(F.collect_list(sixteen_digits), "")).first()
    return np.frombuffer(bytes.fromhex(digits), dtype=">i8")
