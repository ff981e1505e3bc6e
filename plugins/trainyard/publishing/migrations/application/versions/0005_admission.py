"""Waiting for a slot: attempts that are queued, what EMR listed, and the pace of launches."""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

UPGRADE = (
    "ALTER TABLE operations.attempt DROP CONSTRAINT attempt_state_check",
    """
    ALTER TABLE operations.attempt ADD CONSTRAINT attempt_state_check
        CHECK (state IN ('queued', 'intended', 'launched', 'ended'))
    """,
    "ALTER TABLE operations.attempt DROP CONSTRAINT state_follows_launch",
    """
    ALTER TABLE operations.attempt ADD CONSTRAINT state_follows_launch CHECK (
        CASE state
            WHEN 'queued' THEN launched_at IS NULL
            WHEN 'intended' THEN launched_at IS NULL
            WHEN 'launched' THEN launched_at IS NOT NULL
            ELSE true
        END
    )
    """,
    """
    ALTER TABLE operations.attempt
        ADD COLUMN priority integer NOT NULL DEFAULT 0,
        ADD COLUMN queued_at timestamptz NOT NULL DEFAULT now(),
        ADD COLUMN asked_at timestamptz,
        ADD COLUMN reserved_at timestamptz DEFAULT now()
    """,
    "CREATE INDEX attempt_unfinished ON operations.attempt (state) WHERE state <> 'ended'",
    "CREATE INDEX attempt_by_cluster ON operations.attempt (cluster_id) WHERE cluster_id IS NOT NULL",
    """
    CREATE TABLE operations.listing (
        aws_conn_id text        PRIMARY KEY,
        began_at    timestamptz NOT NULL,
        cluster_ids text[]      NOT NULL
    )
    """,
    """
    CREATE TABLE operations.launch_pace (
        name    text        PRIMARY KEY,
        full_at timestamptz NOT NULL
    )
    """,
)

COMMENTS = {
    "COLUMN operations.attempt.state": "queued (waits for a slot), intended (has it), launched, ended",
    "COLUMN operations.attempt.priority": "Higher goes first",
    "COLUMN operations.attempt.queued_at": "When it began to wait for a slot",
    "COLUMN operations.attempt.asked_at": "When its task last asked for one; a silent one loses its turn",
    "COLUMN operations.attempt.reserved_at": "When it got its slot",
    "TABLE operations.listing": "The active clusters that EMR listed last, by connection, whoever launched them",
    "TABLE operations.launch_pace": "When the allowance of launches will be full again",
}


def upgrade() -> None:
    for statement in UPGRADE:
        op.execute(statement)
    for thing, comment in COMMENTS.items():
        op.execute(f"COMMENT ON {thing} IS '{comment}'")


def downgrade() -> None:
    # an attempt that waits has no cluster: its task's next try takes a number of its own again
    op.execute("UPDATE operations.attempt SET state = 'intended' WHERE state = 'queued'")
    op.execute("DROP TABLE operations.launch_pace, operations.listing")
    op.execute("DROP INDEX operations.attempt_by_cluster, operations.attempt_unfinished")
    op.execute(
        "ALTER TABLE operations.attempt DROP COLUMN reserved_at, DROP COLUMN asked_at, "
        "DROP COLUMN queued_at, DROP COLUMN priority"
    )
