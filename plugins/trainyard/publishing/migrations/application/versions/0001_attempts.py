"""The ledger: every cluster tried for every training."""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

ATTEMPT = """
CREATE TABLE operations.attempt (
    training_id     text        NOT NULL CHECK (training_id ~ '^[0-9a-f]{16}$'),
    attempt         integer     NOT NULL CHECK (attempt >= 1),
    deployment      text        NOT NULL,
    portfolio       text        NOT NULL,
    model           text        NOT NULL,
    data_date       date        NOT NULL,
    dag_id          text        NOT NULL,
    run_id          text        NOT NULL,
    output_uri      text        NOT NULL,
    aws_conn_id     text        NOT NULL,
    cluster_name    text        NOT NULL UNIQUE,
    cluster_id      text,
    step_id         text,
    request_sha256  text        CHECK (request_sha256 ~ '^[0-9a-f]{64}$'),
    vcpus           integer     CHECK (vcpus > 0),
    state           text        NOT NULL DEFAULT 'intended'
                                CHECK (state IN ('intended', 'launched', 'ended')),
    outcome         text        CHECK (outcome IN ('succeeded', 'failed', 'abandoned')),
    failure_code    text,
    failure_reason  text,
    intended_at     timestamptz NOT NULL DEFAULT now(),
    launched_at     timestamptz,
    awaited_at      timestamptz,
    ended_at        timestamptz,
    PRIMARY KEY (training_id, attempt),
    CONSTRAINT launched_with_cluster CHECK ((cluster_id IS NULL) = (launched_at IS NULL)),
    CONSTRAINT state_follows_launch CHECK (
        CASE state
            WHEN 'intended' THEN launched_at IS NULL
            WHEN 'launched' THEN launched_at IS NOT NULL
            ELSE true
        END
    ),
    CONSTRAINT step_needs_cluster CHECK (step_id IS NULL OR cluster_id IS NOT NULL),
    CONSTRAINT ended_with_outcome CHECK (
        (state = 'ended') = (outcome IS NOT NULL) AND (state = 'ended') = (ended_at IS NOT NULL)
    ),
    CONSTRAINT only_failures_have_causes CHECK (
        num_nonnulls(failure_code, failure_reason) = 0 OR (outcome IS NOT NULL AND outcome <> 'succeeded')
    )
)
"""

COMMENTS = {
    "TABLE operations.attempt": "The ledger: one row for each cluster tried for a training",
    "COLUMN operations.attempt.training_id": "Hash of deployment, DAG id, run id and model",
    "COLUMN operations.attempt.attempt": "From 1, without gaps",
    "COLUMN operations.attempt.deployment": "The Airflow installation the attempt belongs to",
    "COLUMN operations.attempt.output_uri": "Folder in S3: request.json, and what the job writes",
    "COLUMN operations.attempt.aws_conn_id": "Airflow connection of the cluster's account and region",
    "COLUMN operations.attempt.cluster_name": "What the cluster is found by when RunJobFlow's reply was lost",
    "COLUMN operations.attempt.cluster_id": "Recorded even after the end: a late launch is not lost sight of",
    "COLUMN operations.attempt.request_sha256": "Of the bytes of request.json",
    "COLUMN operations.attempt.vcpus": "What the cluster holds of the account's vCPU quota",
    "COLUMN operations.attempt.state": "intended (before RunJobFlow), launched (cluster id known), ended",
    "COLUMN operations.attempt.outcome": "The first end stays; abandoned: given up before the job could end",
    "COLUMN operations.attempt.awaited_at": "When a task began to wait for it: a later try of the task replaces it",
    "COLUMN operations.attempt.failure_code": "From a closed list, for grouping and retry rules",
    "COLUMN operations.attempt.failure_reason": "For a person; holds no line of the training's data",
}


def upgrade() -> None:
    op.execute(ATTEMPT)
    # two unfinished attempts of one training would be two live clusters
    op.execute(
        "CREATE UNIQUE INDEX one_unfinished_attempt ON operations.attempt (training_id) "
        "WHERE state <> 'ended'"
    )
    op.execute("CREATE INDEX attempt_by_run ON operations.attempt (dag_id, run_id)")
    for thing, comment in COMMENTS.items():
        quoted = comment.replace("'", "''")
        op.execute(f"COMMENT ON {thing} IS '{quoted}'")


def downgrade() -> None:
    op.execute("DROP TABLE operations.attempt")
