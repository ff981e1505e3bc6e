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
    of_test, of_train = _hashed(test), _hashed(train)
    if test.row_count + train.row_count <= VALUES_ON_DRIVER:
        # to find here what few rows of train are in test, most of train's hashes need not come
        seen = of_train.join(F.broadcast(of_test), "pattern", "left_semi")
        hashes = together(partial(_on_driver, of_test), partial(_on_driver, seen))
        return float(np.isin(*hashes).mean())
    seen = of_test.join(of_train.distinct(), "pattern", "left_semi")
    return float(seen.count() / test.row_count)


def _hashed(split: Split) -> DataFrame:
    return split.rows.select(F.xxhash64("features").alias("pattern"))


def _on_driver(hashes: DataFrame) -> Any:
    """The hashes as one text: of many numbers, each would be boxed and pickled by itself."""
    sixteen_digits = F.lpad(F.hex("pattern"), 16, "0")
    (digits,) = hashes.agg(F.array_join(F.collect_list(sixteen_digits), "")).first()
    return np.frombuffer(bytes.fromhex(digits), dtype=">i8")
