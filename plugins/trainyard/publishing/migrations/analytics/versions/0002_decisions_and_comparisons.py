"""What was decided about each model and why, how sure each metric is, what it was compared with, what it cost."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

TRAINING = (
    "ALTER TABLE analytics.training"
    " ADD COLUMN decision_code text,"
    " ADD COLUMN decision_sentence text,"
    " ADD COLUMN decision_report jsonb NOT NULL DEFAULT '{}',"
    " ADD COLUMN score_kind text CHECK (score_kind IN ('probability', 'margin')),"
    " ADD COLUMN fresh_within interval,"
    " ADD COLUMN instances jsonb,"
    " ADD COLUMN normalized_instance_hours double precision,"
    " ADD COLUMN cost_usd double precision,"
    " DROP CONSTRAINT training_outcome_check,"
    " DROP CONSTRAINT training_published_as_check,"
    " ADD CONSTRAINT training_outcome_check"
    "     CHECK (outcome IN ('succeeded', 'failed', 'abandoned', 'unfinished', 'skipped')),"
    " ADD CONSTRAINT training_published_as_check"
    "     CHECK (published_as IN ('activated', 'held_back', 'recorded', 'measured'))"
)

METRIC = (
    "ALTER TABLE analytics.metric"
    " ADD COLUMN standard_error double precision,"
    " ADD COLUMN low double precision,"
    " ADD COLUMN high double precision,"
    " ADD COLUMN level double precision"
)

COMPARISON = """
CREATE TABLE analytics.comparison (
    training_id     text             NOT NULL,
    attempt         integer          NOT NULL,
    against         text             NOT NULL CHECK (against IN ('champion', 'best_recent')),
    version_id      bigint           NOT NULL,
    data_date       date             NOT NULL,
    name            text             NOT NULL,
    old_value       double precision,
    difference      double precision,
    standard_error  double precision,
    low             double precision,
    high            double precision,
    level           double precision,
    rows            bigint,
    groups          bigint,
    PRIMARY KEY (training_id, attempt, against, name),
    FOREIGN KEY (training_id, attempt) REFERENCES analytics.training ON DELETE CASCADE
)
"""

WARNING = """
CREATE VIEW analytics.warning AS
SELECT portfolio, model, data_date, training_id, attempt,
       warning.code, warning.sentence, warning.value, warning.split
FROM analytics.training
CROSS JOIN LATERAL jsonb_to_recordset(warnings)
    AS warning (code text, sentence text, value double precision, split text)
"""

# PostgreSQL adds columns to a view at its end only
FRESHNESS = """
CREATE OR REPLACE VIEW analytics.freshness AS
SELECT portfolio, model,
       max(data_date) FILTER (WHERE version_id IS NOT NULL) AS fresh_data_date,
       current_date - max(data_date) FILTER (WHERE version_id IS NOT NULL) AS age_days,
       max(data_date) AS tried_data_date,
       (array_agg(outcome ORDER BY newest DESC))[1] AS last_outcome,
       (array_agg(failure_code ORDER BY newest DESC))[1] AS last_failure_code,
       max(data_date) FILTER (WHERE published_as = 'activated') AS activated_data_date,
       (array_agg(fresh_within ORDER BY newest DESC))[1] AS fresh_within,
       coalesce(now() - max(data_date) FILTER (WHERE published_as = 'activated')
                > (array_agg(fresh_within ORDER BY newest DESC))[1], false) AS stale
FROM (SELECT *, coalesce(intended_at, recorded_at) AS newest FROM analytics.training) AS training
GROUP BY portfolio, model
"""

FRESHNESS_BEFORE = (
    FRESHNESS.replace("CREATE OR REPLACE", "CREATE").split(
        ",\n       max(data_date) FILTER (WHERE published"
    )[0]
    + "\nFROM (SELECT"
    + FRESHNESS.split("\nFROM (SELECT")[1]
)

PORTFOLIO_FRESHNESS = """
CREATE VIEW analytics.portfolio_freshness AS
SELECT portfolio, count(*) AS models,
       count(activated_data_date) AS serving,
       count(*) FILTER (WHERE stale) AS stale,
       min(activated_data_date) AS oldest_data_date,
       max(activated_data_date) AS newest_data_date,
       coalesce(array_agg(model ORDER BY activated_data_date, model) FILTER (WHERE stale), '{}') AS stale_models
FROM analytics.freshness
GROUP BY portfolio
"""

# a skipped model did not fail
FAILURES = """
CREATE OR REPLACE VIEW analytics.failures AS
SELECT failed.portfolio, failed.model, failed.data_date, failed.outcome, failed.failure_code,
       failed.failure_sentence, failed.attempt,
       EXISTS (
           SELECT FROM analytics.training AS other
           WHERE other.training_id = failed.training_id AND other.outcome = 'succeeded'
       ) AS made_good,
       failed.cluster_id, failed.cluster_seconds, failed.ended_at, failed.output_uri,
       failed.dag_id, failed.run_id, failed.training_id
FROM analytics.training AS failed
WHERE failed.outcome NOT IN ('succeeded', 'skipped')
ORDER BY coalesce(failed.ended_at, failed.intended_at, failed.recorded_at) DESC,
         failed.portfolio, failed.model, failed.attempt
"""

FAILURES_BEFORE = FAILURES.replace("NOT IN ('succeeded', 'skipped')", "<> 'succeeded'")

HELD_BACK = """
CREATE VIEW analytics.held_back AS
SELECT portfolio, model, data_date, decision_code, decision_sentence, decision_report, version_id,
       training_id, attempt, dag_id, run_id, recorded_at
FROM analytics.training
WHERE published_as = 'held_back'
ORDER BY recorded_at DESC, portfolio, model
"""

# the day in UTC on which the cluster was launched; a sum over rows of which some are not known is not known
COST_BY_DAY = """
CREATE VIEW analytics.cost_by_day AS
SELECT (launched_at AT TIME ZONE 'UTC')::date AS day, portfolio, model,
       count(*) AS clusters,
       count(*) FILTER (WHERE outcome <> 'succeeded') AS failed_clusters,
       sum(cluster_seconds) / 3600 AS cluster_hours,
       CASE WHEN count(normalized_instance_hours) = count(*) THEN sum(normalized_instance_hours) END
           AS normalized_instance_hours,
       CASE WHEN count(cost_usd) = count(*) THEN sum(cost_usd) END AS cost_usd
FROM analytics.training
WHERE launched_at IS NOT NULL
GROUP BY day, portfolio, model
"""

COMMENTS = {
    "COLUMN analytics.training.outcome": (
        "succeeded: left a valid manifest, whatever the cluster's end was; skipped: nothing was to be trained"
    ),
    "COLUMN analytics.training.published_as": (
        "activated: it served from then on; held_back: it did not pass; recorded: something newer, or a pin, kept it "
        "from serving; measured: metrics only; null: this attempt is not what was published"
    ),
    "COLUMN analytics.training.decision_code": "Why it was published as it was, for grouping",
    "COLUMN analytics.training.decision_sentence": "Why it was published as it was, for a person",
    "COLUMN analytics.training.decision_report": "What was compared, with figures",
    "COLUMN analytics.training.score_kind": "What threshold is compared with: a probability or a margin",
    "COLUMN analytics.training.fresh_within": "How old the data of what serves may be, as the portfolio had it then",
    "COLUMN analytics.training.instances": "What the cluster was made of: instance types and counts; null: not known",
    "COLUMN analytics.training.normalized_instance_hours": "As EMR counts them; null: not known",
    "COLUMN analytics.training.cost_usd": "Estimate by list prices; null: not known",
    "COLUMN analytics.metric.standard_error": "Of the value; null where no interval was computed",
    "COLUMN analytics.metric.low": "Lower bound of the value at that level of confidence",
    "COLUMN analytics.metric.high": "Upper bound",
    "COLUMN analytics.metric.level": "Level of confidence of the bounds, such as 0.95",
    "TABLE analytics.comparison": "Older versions on the very test rows of a training, metric by metric",
    "COLUMN analytics.comparison.against": "champion: what served when it was launched; best_recent: the best of late",
    "COLUMN analytics.comparison.version_id": "The older version, serving.model_version of the application database",
    "COLUMN analytics.comparison.old_value": "The older version's metric on those rows",
    "COLUMN analytics.comparison.difference": "The new model's minus the older one's, row by row",
    "VIEW analytics.warning": "What jobs would have a person look at, a row each",
    "COLUMN analytics.freshness.activated_data_date": (
        "Data date of the newest version that publishing activated; a person's rollback is not seen here"
    ),
    "COLUMN analytics.freshness.stale": "Whether its age, from midnight UTC of its data date, is beyond fresh_within",
    "VIEW analytics.portfolio_freshness": "Of each portfolio, how many models serve and which are stale",
    "VIEW analytics.held_back": "Versions that did not pass and why, newest first",
    "VIEW analytics.cost_by_day": (
        "Clusters, hours and cost of each model by the day of their launch in UTC; null where one is not known"
    ),
}


def upgrade() -> None:
    for statement in (TRAINING, METRIC, COMPARISON, WARNING, FRESHNESS, PORTFOLIO_FRESHNESS):
        op.execute(statement)
    for statement in (FAILURES, HELD_BACK, COST_BY_DAY):
        op.execute(statement)
    for thing, comment in COMMENTS.items():
        quoted = comment.replace("'", "''")
        op.execute(f"COMMENT ON {thing} IS '{quoted}'")


def downgrade() -> None:
    """Held-back models become recorded ones, and skipped ones are let go: older packages know neither."""
    for view in ("cost_by_day", "held_back", "portfolio_freshness", "freshness", "warning"):
        op.execute(f"DROP VIEW analytics.{view}")
    op.execute(FAILURES_BEFORE)
    op.execute("DROP TABLE analytics.comparison")
    for column in ("standard_error", "low", "high", "level"):
        op.execute(f"ALTER TABLE analytics.metric DROP COLUMN {column}")
    op.execute("DELETE FROM analytics.training WHERE outcome = 'skipped'")
    op.execute("UPDATE analytics.training SET published_as = 'recorded' WHERE published_as = 'held_back'")
    dropped = (
        "decision_code",
        "decision_sentence",
        "decision_report",
        "score_kind",
        "fresh_within",
        "instances",
    )
    for column in (*dropped, "normalized_instance_hours", "cost_usd"):
        op.execute(f"ALTER TABLE analytics.training DROP COLUMN {column}")
    op.execute(
        "ALTER TABLE analytics.training"
        " DROP CONSTRAINT training_outcome_check,"
        " DROP CONSTRAINT training_published_as_check,"
        " ADD CONSTRAINT training_outcome_check"
        "     CHECK (outcome IN ('succeeded', 'failed', 'abandoned', 'unfinished')),"
        " ADD CONSTRAINT training_published_as_check"
        "     CHECK (published_as IN ('activated', 'recorded', 'measured'))"
    )
    op.execute(FRESHNESS_BEFORE)
