"""A peer: scikit-learn on the same files, at the same objective, with the metrics one asks for first.

python sklearn_workflow.py NUM_FEATURES REG_PARAM OUTPUT TRAIN TEST...
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
from sklearn import metrics
from sklearn.datasets import load_svmlight_file
from sklearn.linear_model import LogisticRegression


def main(num_features: int, reg_param: float, output: Path, train_file: str, *test_files: str) -> None:
    features, labels = load_svmlight_file(train_file, n_features=num_features, zero_based=False)
    # Spark weighs the penalty against the mean loss, scikit-learn against the sum
    model = LogisticRegression(C=1 / (len(labels) * reg_param)).fit(features, labels)
    tests = [load_svmlight_file(each, n_features=num_features, zero_based=False) for each in test_files]
    test_labels = np.concatenate([labels for _, labels in tests])
    scores = np.concatenate([model.predict_proba(features)[:, 1] for features, _ in tests])
    decided = scores >= 0.5
    found = {
        "accuracy": metrics.accuracy_score(test_labels, decided),
        "precision": metrics.precision_score(test_labels, decided),
        "recall": metrics.recall_score(test_labels, decided),
        "auc": metrics.roc_auc_score(test_labels, scores),
        "average_precision": metrics.average_precision_score(test_labels, scores),
        "log_loss": metrics.log_loss(test_labels, scores),
        "iterations": int(model.n_iter_[0]),
    }
    output.mkdir(parents=True)
    np.savez(output / "model.npz", coefficients=model.coef_, intercept=model.intercept_)
    (output / "metrics.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]), Path(sys.argv[3]), *sys.argv[4:])
