"""Which rows of train go to test and to validation instead.

A row's side follows from a hash of its group key, or else of its features: of the label as well, and one pattern's
positives and negatives would come to opposite sides. The hash and the seed know no data date, so that what was tested
on yesterday is not learned from today.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Optional

from pyspark.sql import Column
from pyspark.sql import functions as F  # noqa: N812 - as all of Spark's own documentation has it

from training_job.failures import JobError
from training_job.inputs import Shares

HASH_STEPS = 1_000_000
# a share may miss the wish by this much of it
TOLERANCE = 0.1


def part_of(key: Column, shares: Shares) -> Column:
    """The name of the split that a row belongs to.

    :param key: what rows that must stay together have in common
    """
    place = F.pmod(F.xxhash64(key, F.lit(shares.seed)), F.lit(HASH_STEPS))
    to_test = round((shares.test or 0) * HASH_STEPS)
    to_validation = to_test + round((shares.validation or 0) * HASH_STEPS)
    part = F.when(place < to_test, F.lit("test")).when(place < to_validation, F.lit("validation"))
    return part.otherwise(F.lit("train"))


def check_shares(row_counts: Mapping[str, int], shares: Shares, group_key: Optional[str]) -> None:
    """Raise ``split_not_possible`` where a share came out too far from the wish."""
    total = sum(row_counts.values())
    for name, wish in (("test", shares.test), ("validation", shares.validation)):
        if wish is None or not total:
            continue
        share = row_counts.get(name, 0) / total
        if abs(share - wish) > TOLERANCE * wish:
            what = f"values of {group_key}" if group_key else "different rows"
            raise JobError(
                "split_not_possible",
                f"{name} would get {row_counts.get(name, 0):,} of {total:,} rows, {share:.4g} of them instead of "
                f"{wish:g}, which is more than a tenth off: there are too few {what}, or a few of them have most of "
                f"the rows; give {name} a folder of its own, or another share or seed",
            )
