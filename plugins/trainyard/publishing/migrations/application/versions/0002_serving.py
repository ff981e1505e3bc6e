"""What serves: versions that never change, a log of activations, and the one view that applications read."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

MODEL_VERSION = """
CREATE TABLE serving.model_version (
    version_id       bigint           GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    portfolio        text             NOT NULL,
    model            text             NOT NULL,
    data_date        date             NOT NULL,
    training_id      text             NOT NULL UNIQUE CHECK (training_id ~ '^[0-9a-f]{16}$'),
    attempt          integer          NOT NULL CHECK (attempt >= 1),
    artifact         bytea,
    artifact_uri     text,
    artifact_sha256  text             NOT NULL CHECK (artifact_sha256 ~ '^[0-9a-f]{64}$'),
    feature_space    text             NOT NULL,
    num_features     integer          NOT NULL CHECK (num_features >= 1),
    threshold        double precision NOT NULL CHECK (threshold BETWEEN 0 AND 1),
    lineage          jsonb            NOT NULL,
    published_at     timestamptz      NOT NULL DEFAULT now(),
    CONSTRAINT one_place_for_the_artifact CHECK (num_nonnulls(artifact, artifact_uri) = 1),
    CONSTRAINT model_of_a_version UNIQUE (version_id, portfolio, model)
)
"""

ACTIVATION = """
CREATE TABLE serving.activation (
    activation_id        bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    version_id           bigint      NOT NULL,
    portfolio            text        NOT NULL,
    model                text        NOT NULL,
    activated_at         timestamptz NOT NULL DEFAULT now(),
    actor                text        NOT NULL,
    reason               text        NOT NULL,
    replaced_version_id  bigint,
    CONSTRAINT activates_a_version_of_its_model FOREIGN KEY (version_id, portfolio, model)
        REFERENCES serving.model_version (version_id, portfolio, model),
    CONSTRAINT replaces_a_version_of_its_model FOREIGN KEY (replaced_version_id, portfolio, model)
        REFERENCES serving.model_version (version_id, portfolio, model),
    CONSTRAINT replaces_another_version CHECK (replaced_version_id <> version_id)
)
"""

# the newest activation is found in activation_by_model; artifacts are joined only after that
LIVE_MODEL = """
CREATE VIEW serving.live_model AS
SELECT portfolio, model, version_id, data_date, training_id, attempt, artifact, artifact_uri, artifact_sha256,
       feature_space, num_features, threshold, lineage, published_at,
       activation_id, activated_at, actor, reason, replaced_version_id
FROM (
    SELECT DISTINCT ON (portfolio, model) *
    FROM serving.activation
    ORDER BY portfolio, model, activation_id DESC
) AS newest
JOIN serving.model_version USING (version_id, portfolio, model)
"""

REFUSE_CHANGE = """
CREATE FUNCTION serving.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '%.% is only added to: % is refused', TG_TABLE_SCHEMA, TG_TABLE_NAME, TG_OP
        USING ERRCODE = 'restrict_violation',
              HINT = 'To serve another version, add an activation of it.';
END
$$
"""

COMMENTS = {
    "TABLE serving.model_version": "Every published version of every model. Rows never change",
    "COLUMN serving.model_version.version_id": "Ascends in the order of publishing",
    "COLUMN serving.model_version.data_date": "The day whose features were learned from",
    "COLUMN serving.model_version.training_id": "A training is published once, whichever attempt it was",
    "COLUMN serving.model_version.artifact": "The portable model: JSON, gzipped; null above 64 MB",
    "COLUMN serving.model_version.artifact_uri": "Where in S3 an artifact above 64 MB lies, else null",
    "COLUMN serving.model_version.artifact_sha256": "Of the artifact as JSON, that is after gunzip",
    "COLUMN serving.model_version.feature_space": "What the features mean; equal width is not equal meaning",
    "COLUMN serving.model_version.threshold": "The decision is: score >= threshold",
    "COLUMN serving.model_version.lineage": "Hashes of code, portfolio file and inputs, and the Airflow run",
    "TABLE serving.activation": "Who made which version the live one, when and why. Only added to",
    "COLUMN serving.activation.activation_id": "Ascends: the greatest of a model says what serves",
    "COLUMN serving.activation.actor": "A person, or the DAG run that published",
    "COLUMN serving.activation.replaced_version_id": "What served before; null for a model's first version",
    "VIEW serving.live_model": "The one live version of each model: all that an application reads",
    "FUNCTION serving.refuse_change()": "Keeps versions and activations as they were written",
}


def upgrade() -> None:
    op.execute(MODEL_VERSION)
    # gzip does not compress twice
    op.execute("ALTER TABLE serving.model_version ALTER COLUMN artifact SET STORAGE EXTERNAL")
    op.execute("CREATE INDEX version_by_model ON serving.model_version (portfolio, model, version_id DESC)")
    op.execute(ACTIVATION)
    op.execute(
        "CREATE INDEX activation_by_model ON serving.activation (portfolio, model, activation_id DESC)"
    )
    op.execute("CREATE INDEX activation_by_version ON serving.activation (version_id)")
    op.execute(LIVE_MODEL)
    op.execute(REFUSE_CHANGE)
    for table in ("model_version", "activation"):
        # for each statement, since TRUNCATE has no rows to ask
        op.execute(
            f"CREATE TRIGGER only_added_to BEFORE UPDATE OR DELETE OR TRUNCATE ON serving.{table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION serving.refuse_change()"
        )
    for thing, comment in COMMENTS.items():
        quoted = comment.replace("'", "''")
        op.execute(f"COMMENT ON {thing} IS '{quoted}'")


def downgrade() -> None:
    op.execute("DROP VIEW serving.live_model")
    op.execute("DROP TABLE serving.activation")
    op.execute("DROP TABLE serving.model_version")
    op.execute("DROP FUNCTION serving.refuse_change()")
