"""Freshness of what was tried: a model that a run left out is known to it, and says nothing of how it stands."""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_FRESHNESS = """
CREATE OR REPLACE VIEW analytics.freshness AS
SELECT portfolio, model,
       max(data_date) FILTER (WHERE version_id IS NOT NULL) AS fresh_data_date,
       (now() AT TIME ZONE 'UTC')::date - max(data_date) FILTER (WHERE version_id IS NOT NULL) AS age_days,
       max(data_date) AS tried_data_date,
       (array_agg(outcome ORDER BY newest DESC))[1] AS last_outcome,
       (array_agg(failure_code ORDER BY newest DESC))[1] AS last_failure_code,
       max(data_date) FILTER (WHERE published_as = 'activated') AS activated_data_date,
       (array_agg(fresh_within ORDER BY newest DESC))[1] AS fresh_within,
       coalesce(
           now() - (max(data_date) FILTER (WHERE published_as = 'activated') + 1)::timestamp AT TIME ZONE 'UTC'
                > (array_agg(fresh_within ORDER BY newest DESC))[1],
                (array_agg(fresh_within ORDER BY newest DESC))[1] IS NOT NULL) AS stale
FROM (SELECT *, coalesce(intended_at, recorded_at) AS newest FROM analytics.training{tried}) AS training
GROUP BY portfolio, model
"""


def upgrade() -> None:
    op.execute(_FRESHNESS.format(tried=" WHERE outcome <> 'skipped'"))


def downgrade() -> None:
    op.execute(_FRESHNESS.format(tried=""))
