"""What every training told about itself, and the views a person asks for first."""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TRAINING = """
CREATE TABLE analytics.training (
    training_id             text             NOT NULL CHECK (training_id ~ '^[0-9a-f]{16}$'),
    attempt                 integer          NOT NULL CHECK (attempt >= 0),
    deployment              text             NOT NULL,
    portfolio               text             NOT NULL,
    model                   text             NOT NULL,
    data_date               date             NOT NULL,
    dag_id                  text             NOT NULL,
    run_id                  text             NOT NULL,
    outcome                 text             NOT NULL
        CHECK (outcome IN ('succeeded', 'failed', 'abandoned', 'unfinished')),
    failure_code            text,
    failure_sentence        text,
    published_as            text             CHECK (published_as IN ('activated', 'recorded', 'measured')),
    version_id              bigint,
    cluster_name            text,
    cluster_id              text,
    step_id                 text,
    output_uri              text,
    intended_at             timestamptz,
    launched_at             timestamptz,
    ended_at                timestamptz,
    cluster_seconds         double precision
        GENERATED ALWAYS AS (extract(epoch FROM ended_at - launched_at)::double precision) STORED,
    load_seconds            double precision,
    learn_seconds           double precision,
    evaluate_seconds        double precision,
    job_seconds             double precision,
    train_rows              bigint,
    test_rows               bigint,
    num_features            integer,
    feature_space           text,
    iterations              integer,
    objective               double precision,
    threshold               double precision,
    warnings                jsonb            NOT NULL DEFAULT '[]',
    request_sha256          text,
    artifact_sha256         text,
    code_sha256             text,
    portfolio_sha256        text,
    input_fingerprint       text,
    recorded_at             timestamptz      NOT NULL DEFAULT now(),
    PRIMARY KEY (training_id, attempt),
    CONSTRAINT only_a_success_is_published CHECK (published_as IS NULL OR outcome = 'succeeded'),
    CONSTRAINT every_failure_has_a_code CHECK (outcome = 'succeeded' OR failure_code IS NOT NULL)
)
"""

METRIC = """
CREATE TABLE analytics.metric (
    training_id  text             NOT NULL,
    attempt      integer          NOT NULL,
    split        text             NOT NULL,
    name         text             NOT NULL,
    value        double precision NOT NULL,
    PRIMARY KEY (training_id, attempt, split, name),
    FOREIGN KEY (training_id, attempt) REFERENCES analytics.training ON DELETE CASCADE
)
"""

CURVE = """
CREATE TABLE analytics.curve (
    training_id  text               NOT NULL,
    attempt      integer            NOT NULL,
    split        text               NOT NULL,
    name         text               NOT NULL,
    x_name       text               NOT NULL,
    y_name       text               NOT NULL,
    x            double precision[] NOT NULL,
    y            double precision[] NOT NULL CHECK (cardinality(x) = cardinality(y)),
    PRIMARY KEY (training_id, attempt, split, name),
    FOREIGN KEY (training_id, attempt) REFERENCES analytics.training ON DELETE CASCADE
)
"""

# of a data date's trainings, the one published last stands for it: the others were superseded
LATEST_METRICS = """
CREATE VIEW analytics.latest_metrics AS
SELECT portfolio, model, data_date, training_id, attempt, split, name, value
FROM (
    SELECT DISTINCT ON (portfolio, model) portfolio, model, data_date, training_id, attempt
    FROM analytics.training
    WHERE outcome = 'succeeded'
    ORDER BY portfolio, model, data_date DESC, version_id DESC NULLS LAST, intended_at DESC
) AS latest
JOIN analytics.metric USING (training_id, attempt)
"""

METRIC_TREND = """
CREATE VIEW analytics.metric_trend AS
SELECT portfolio, model, split, name, data_date, value,
       value - lag(value) OVER previous AS change, training_id, attempt, published_as, version_id
FROM (
    SELECT DISTINCT ON (portfolio, model, data_date)
           portfolio, model, data_date, training_id, attempt, published_as, version_id
    FROM analytics.training
    WHERE outcome = 'succeeded'
    ORDER BY portfolio, model, data_date, version_id DESC NULLS LAST, intended_at DESC
) AS chosen
JOIN analytics.metric USING (training_id, attempt)
WINDOW previous AS (PARTITION BY portfolio, model, split, name ORDER BY data_date)
"""

FRESHNESS = """
CREATE VIEW analytics.freshness AS
SELECT portfolio, model,
       max(data_date) FILTER (WHERE version_id IS NOT NULL) AS fresh_data_date,
       current_date - max(data_date) FILTER (WHERE version_id IS NOT NULL) AS age_days,
       max(data_date) AS tried_data_date,
       (array_agg(outcome ORDER BY newest DESC))[1] AS last_outcome,
       (array_agg(failure_code ORDER BY newest DESC))[1] AS last_failure_code
FROM (SELECT *, coalesce(intended_at, recorded_at) AS newest FROM analytics.training) AS training
GROUP BY portfolio, model
"""

FAILURES = """
CREATE VIEW analytics.failures AS
SELECT failed.portfolio, failed.model, failed.data_date, failed.outcome, failed.failure_code,
       failed.failure_sentence, failed.attempt,
       EXISTS (
           SELECT FROM analytics.training AS other
           WHERE other.training_id = failed.training_id AND other.outcome = 'succeeded'
       ) AS made_good,
       failed.cluster_id, failed.cluster_seconds, failed.ended_at, failed.output_uri,
       failed.dag_id, failed.run_id, failed.training_id
FROM analytics.training AS failed
WHERE failed.outcome <> 'succeeded'
ORDER BY coalesce(failed.ended_at, failed.intended_at, failed.recorded_at) DESC,
         failed.portfolio, failed.model, failed.attempt
"""

COMMENTS = {
    "TABLE analytics.training": "One row for each attempt of each training",
    "COLUMN analytics.training.attempt": "0: the training never came to an attempt",
    "COLUMN analytics.training.outcome": "succeeded: left a valid manifest, whatever the cluster's end was",
    "COLUMN analytics.training.failure_code": "From a closed list, for grouping",
    "COLUMN analytics.training.failure_sentence": "For a person; holds no line of the training's data",
    "COLUMN analytics.training.published_as": (
        "activated: it served from then on; recorded: something newer served already; measured: metrics only; "
        "null: this attempt is not what was published"
    ),
    "COLUMN analytics.training.version_id": "serving.model_version of the application database",
    "COLUMN analytics.training.cluster_seconds": "From the launch of the cluster to its recorded end",
    "COLUMN analytics.training.job_seconds": "Inside the job, its start and end included",
    "COLUMN analytics.training.recorded_at": "When this row was written last",
    "COLUMN analytics.training.artifact_sha256": "Of the artifact as JSON, that is after gunzip",
    "COLUMN analytics.training.input_fingerprint": "Over key, size and ETag of every input object",
    "TABLE analytics.metric": "Every metric by split and name; an undefined one has no row",
    "TABLE analytics.curve": "One row a curve, its points as two arrays of equal length",
    "VIEW analytics.latest_metrics": "Metrics of each model's newest successful training",
    "VIEW analytics.metric_trend": "Every metric by data date, and its change since the date before",
    "VIEW analytics.freshness": "Of each model, the newest data date with a version, and its age",
    "COLUMN analytics.freshness.age_days": "Today minus that date; 1 is as fresh as a nightly one gets",
    "VIEW analytics.failures": "What failed and why, newest first; made_good: another attempt succeeded",
}


def upgrade() -> None:
    op.execute(TRAINING)
    op.execute("CREATE INDEX training_by_model ON analytics.training (portfolio, model, data_date)")
    for statement in (METRIC, CURVE, LATEST_METRICS, METRIC_TREND, FRESHNESS, FAILURES):
        op.execute(statement)
    for thing, comment in COMMENTS.items():
        quoted = comment.replace("'", "''")
        op.execute(f"COMMENT ON {thing} IS '{quoted}'")


def downgrade() -> None:
    for view in ("failures", "freshness", "metric_trend", "latest_metrics"):
        op.execute(f"DROP VIEW analytics.{view}")
    for table in ("curve", "metric", "training"):
        op.execute(f"DROP TABLE analytics.{table}")
