"""Run by spark-submit: draw this many scored rows, measure two models on them, print what was found as JSON."""

from __future__ import annotations

import json
import sys

from pyspark.sql import SparkSession
from pyspark.sql import functions as F  # noqa: N812 - as all of Spark's own documentation has it

from training_job.deciding import Decision
from training_job.influences import Measured, spread
from training_job.intervals import differences, intervals
from training_job.metrics import metrics
from training_job.probabilities import Probabilities
from training_job.ranking import rank
from training_job.scored_rows import gather

DECISION = Decision(Probabilities("probability"), threshold=0.5)


def main(row_count: int) -> None:
    spark = SparkSession.builder.appName("measure_many").getOrCreate()
    rows = spark.range(0, row_count, 1, max(2, row_count // 1_000_000))
    drawn = rows.select(
        (F.rand(1) < 0.1).cast("double").alias("label"), F.randn(2).alias("noise"), F.randn(3).alias("more")
    )
    logit = F.col("label") * 1.5 - 2 + F.col("noise")
    # a third of the rows have one of a thousand scores
    score = F.when(F.rand(4) < 1 / 3, F.round(1 / (1 + F.exp(-logit)), 3)).otherwise(1 / (1 + F.exp(-logit)))
    older = 1 / (1 + F.exp(-(logit + F.col("more") * 0.3)))
    scored = gather(
        drawn.select("label", score.alias("score_0"), older.alias("score_1")),
        row_count=row_count,
        score_columns=["score_0", "score_1"],
    )
    models = [Measured(rank(scored, DECISION, model=number), DECISION) for number in (0, 1)]
    products = spread(scored, models)
    found = metrics(models[0].ranking, DECISION, row_count=row_count)
    old = differences(products, models, old=1)
    print(json.dumps({**found, "intervals": intervals(products, models), "differences": old}))
    spark.stop()


if __name__ == "__main__":
    main(int(sys.argv[1]))
