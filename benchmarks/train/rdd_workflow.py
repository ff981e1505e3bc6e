"""A peer: the workflow that Trainyard is modelled on, as PySpark's RDD API has it, with its default settings.

Only the driver's memory is another: the job's.

spark-submit rdd_workflow.py TRAIN TEST OUTPUT
"""

from __future__ import annotations

import sys

from pyspark import SparkContext
from pyspark.mllib.classification import LogisticRegressionWithLBFGS
from pyspark.mllib.evaluation import MulticlassMetrics
from pyspark.mllib.util import MLUtils


def main(train_file: str, test_file: str, output: str) -> None:
    context = SparkContext(appName="rdd_workflow")
    # as the original does, which leaves the width to Spark: that keeps the rows in memory and goes over them once more
    train = MLUtils.loadLibSVMFile(context, train_file)
    test = MLUtils.loadLibSVMFile(context, test_file)
    model = LogisticRegressionWithLBFGS.train(train)
    predictions = test.map(lambda row: (float(model.predict(row.features)), row.label))
    metrics = MulticlassMetrics(predictions)
    model.save(context, f"{output}/model")
    lines = [f"precision {metrics.precision(1.0)}", f"recall {metrics.recall(1.0)}"]
    context.parallelize(lines).saveAsTextFile(f"{output}/metrics")
    context.stop()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3])
