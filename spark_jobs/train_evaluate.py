"""One training: LibSVM text or Parquet → a learned model, measured on the test rows, and all that is kept of it.

    spark-submit --py-files training_job.zip train_evaluate.py --request s3://…/attempt-1/request.json

The request says everything; nothing is taken from the environment. The folder it names holds ``manifest.json`` once the
training has succeeded, and ``failure.json`` where the job can say why it has not.
"""

from __future__ import annotations

import argparse
import logging
import sys
from typing import TYPE_CHECKING

from training_job.session import Job, run_job

if TYPE_CHECKING:
    from training_job.deciding import Chosen
    from training_job.evaluation import Evaluation


def train_and_evaluate(job: Job) -> None:
    """The training, step by step."""
    # these need numpy, and that it is there is only known by now
    from training_job.comparing import load_earlier_models  # noqa: PLC0415
    from training_job.deciding import decide  # noqa: PLC0415
    from training_job.doubting import warnings_about  # noqa: PLC0415
    from training_job.evaluation import evaluate, evaluate_beside, score  # noqa: PLC0415
    from training_job.learners import learner_for  # noqa: PLC0415
    from training_job.loading import load_splits  # noqa: PLC0415
    from training_job.saving import save_measurements, save_model  # noqa: PLC0415
    from training_job.seen_rows import share_seen  # noqa: PLC0415
    from training_job.skipping import save_skipped, skipped_warnings  # noqa: PLC0415
    from training_job.together import together  # noqa: PLC0415

    learn = learner_for(job.request.learner, job.request.imbalance)
    with job.step("load"):
        train, validation, test, skipped = load_splits(job)
    with job.step("learn"):
        model = learn(train)
    with job.step("evaluate"):
        earlier, warnings = load_earlier_models(job)

        def chosen_and_measured() -> tuple[Chosen, list[Evaluation]]:
            scored_test, scored_validation = together(
                lambda: score(model, test, earlier),
                lambda: score(model, validation) if validation else None,
            )
            chosen = decide(model, scored_validation or scored_test, job.request)
            measured = [evaluate_beside(scored_test, chosen, earlier)]
            measured += [evaluate(scored_validation, chosen)] if scored_validation else []
            return chosen, measured

        (chosen, evaluations), share = together(chosen_and_measured, lambda: share_seen(test, train))
        warnings += warnings_about(job, train, test, evaluations[0], share_seen=share)
        warnings += skipped_warnings(skipped)
    with job.step("save"):
        together(
            lambda: save_model(job, model, chosen.decision),
            lambda: save_measurements(job, model, chosen, train, evaluations, warnings, share_seen=share),
            lambda: save_skipped(job, skipped),
        )
    job.succeed()


def main() -> int:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    parser = argparse.ArgumentParser(description="Train and evaluate the model that a request describes.")
    parser.add_argument("--request", required=True, help="URI of request.json")
    return run_job(parser.parse_args().request, train_and_evaluate)


if __name__ == "__main__":
    sys.exit(main())
