"""Models held back as inconclusive, and ages that are counted from the end of the data date."""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_FRESHNESS = """
CREATE OR REPLACE VIEW analytics.freshness AS
SELECT portfolio, model,
       max(data_date) FILTER (WHERE version_id IS NOT NULL) AS fresh_data_date,
       {today} - max(data_date) FILTER (WHERE version_id IS NOT NULL) AS age_days,
       max(data_date) AS tried_data_date,
       (array_agg(outcome ORDER BY newest DESC))[1] AS last_outcome,
       (array_agg(failure_code ORDER BY newest DESC))[1] AS last_failure_code,
       max(data_date) FILTER (WHERE published_as = 'activated') AS activated_data_date,
       (array_agg(fresh_within ORDER BY newest DESC))[1] AS fresh_within,
       {stale} AS stale
FROM (SELECT *, coalesce(intended_at, recorded_at) AS newest FROM analytics.training) AS training
GROUP BY portfolio, model
"""
# by UTC and not by the session's time zone: every session is told the same
_TODAY = "(now() AT TIME ZONE 'UTC')::date"
_TODAY_BEFORE = "current_date"
# what never served is older than any demand
_STALE = """coalesce(
           now() - (max(data_date) FILTER (WHERE published_as = 'activated') + 1)::timestamp AT TIME ZONE 'UTC'
                > (array_agg(fresh_within ORDER BY newest DESC))[1],
                (array_agg(fresh_within ORDER BY newest DESC))[1] IS NOT NULL)"""
_STALE_BEFORE = """coalesce(now() - max(data_date) FILTER (WHERE published_as = 'activated')
                > (array_agg(fresh_within ORDER BY newest DESC))[1], false)"""

_HELD_BACK = """
CREATE OR REPLACE VIEW analytics.held_back AS
SELECT portfolio, model, data_date, decision_code, decision_sentence, decision_report, version_id,
       training_id, attempt, dag_id, run_id, recorded_at
FROM analytics.training
WHERE published_as IN ({outcomes})
ORDER BY recorded_at DESC, portfolio, model
"""

_COMMENTS = {
    "COLUMN analytics.training.published_as": (
        "activated: it served from then on; held_back: it did not pass; inconclusive: too little is known, and its "
        "gate holds it back for that; recorded: something newer, or a pin, kept it from serving; waiting_for_approval: "
        "no version before a person has answered; measured: metrics only; null: this attempt is not what was published"
    ),
    "COLUMN analytics.freshness.stale": (
        "Whether its age, from the end of its data date in UTC, is beyond fresh_within; a model that never served is "
        "older than any demand"
    ),
    "COLUMN analytics.freshness.age_days": "Today in UTC minus that date; 1 is as fresh as a nightly one gets",
    "VIEW analytics.held_back": "Versions that did not pass or about which too little was known, newest first",
}


def _allow(*ways: str) -> None:
    listed = ", ".join(f"'{way}'" for way in ways)
    op.execute(
        "ALTER TABLE analytics.training DROP CONSTRAINT training_published_as_check,"
        f" ADD CONSTRAINT training_published_as_check CHECK (published_as IN ({listed}))"
    )


def upgrade() -> None:
    _allow("activated", "held_back", "inconclusive", "recorded", "waiting_for_approval", "measured")
    op.execute(_FRESHNESS.format(stale=_STALE, today=_TODAY))
    op.execute(_HELD_BACK.format(outcomes="'held_back', 'inconclusive'"))
    for thing, comment in _COMMENTS.items():
        op.execute(f"COMMENT ON {thing} IS '{comment}'")


def downgrade() -> None:
    """To older packages, what is inconclusive was held back, and what waits was measured."""
    op.execute("UPDATE analytics.training SET published_as = 'held_back' WHERE published_as = 'inconclusive'")
    op.execute(
        "UPDATE analytics.training SET published_as = 'measured' WHERE published_as = 'waiting_for_approval'"
    )
    _allow("activated", "held_back", "recorded", "measured")
    op.execute(_FRESHNESS.format(stale=_STALE_BEFORE, today=_TODAY_BEFORE))
    op.execute(_HELD_BACK.format(outcomes="'held_back'"))
