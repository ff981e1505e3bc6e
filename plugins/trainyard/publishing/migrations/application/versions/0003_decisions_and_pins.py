"""Why each version does or does not serve, pins, margins as scores, and artifacts that retention may empty."""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

MODEL_VERSION = (
    "ALTER TABLE serving.model_version"
    " ADD COLUMN score_kind text NOT NULL DEFAULT 'probability'"
    " CHECK (score_kind IN ('probability', 'margin')),"
    " ADD COLUMN emptied_at timestamptz,"
    " DROP CONSTRAINT model_version_threshold_check,"
    " DROP CONSTRAINT one_place_for_the_artifact,"
    # NaN is greater than every number to PostgreSQL
    " ADD CONSTRAINT threshold_on_the_scale_of_the_score CHECK ("
    "     CASE score_kind WHEN 'probability' THEN threshold BETWEEN 0 AND 1"
    "     ELSE threshold > '-infinity' AND threshold < 'infinity' END),"
    " ADD CONSTRAINT one_place_for_the_artifact CHECK ("
    "     num_nonnulls(artifact, artifact_uri) = CASE WHEN emptied_at IS NULL THEN 1 ELSE 0 END)"
)

DECISION = """
CREATE TABLE serving.decision (
    version_id  bigint      PRIMARY KEY REFERENCES serving.model_version,
    outcome     text        NOT NULL CHECK (outcome IN ('activated', 'held_back', 'recorded')),
    code        text        NOT NULL CHECK (code ~ '^[a-z][a-z0-9_]*$'),
    sentence    text        NOT NULL,
    report      jsonb       NOT NULL DEFAULT '{}',
    decided_at  timestamptz NOT NULL DEFAULT now()
)
"""

# versions that an older package recorded
DECISIONS_OF_OLD = """
INSERT INTO serving.decision (version_id, outcome, code, sentence, decided_at)
SELECT version_id,
       CASE WHEN reason IS NULL THEN 'recorded' ELSE 'activated' END,
       CASE WHEN reason IS NULL THEN 'older_data' WHEN reason = 'the first version' THEN 'first_version'
            WHEN reason LIKE 'newer data%' THEN 'newer_data' ELSE 'later_training' END,
       coalesce(reason, 'something newer served'),
       published_at
FROM serving.model_version
LEFT JOIN (
    SELECT DISTINCT ON (version_id) version_id, reason FROM serving.activation ORDER BY version_id, activation_id
) AS first USING (version_id)
"""

PIN = """
CREATE TABLE serving.pin (
    pin_id      bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    version_id  bigint      NOT NULL,
    portfolio   text        NOT NULL,
    model       text        NOT NULL,
    pinned      boolean     NOT NULL,
    pinned_at   timestamptz NOT NULL DEFAULT now(),
    actor       text        NOT NULL,
    reason      text        NOT NULL,
    CONSTRAINT pins_a_version_of_its_model FOREIGN KEY (version_id, portfolio, model)
        REFERENCES serving.model_version (version_id, portfolio, model)
)
"""

# the view finds each model's newest activation from here, however long its log has grown
SERVED_MODEL = """
CREATE TABLE serving.served_model (
    portfolio  text NOT NULL,
    model      text NOT NULL,
    PRIMARY KEY (portfolio, model)
)
"""

SERVED_OF_OLD = "INSERT INTO serving.served_model SELECT DISTINCT portfolio, model FROM serving.activation"

ADD_SERVED = """
CREATE FUNCTION serving.add_served() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO serving.served_model SELECT DISTINCT portfolio, model FROM added ON CONFLICT DO NOTHING;
    RETURN NULL;
END
$$
"""

# CREATE OR REPLACE lets columns be added at the end and nothing else: what applications rely on
LIVE_MODEL = """
CREATE OR REPLACE VIEW serving.live_model AS
SELECT served.portfolio, served.model, version_id, data_date, training_id, attempt, artifact, artifact_uri,
       artifact_sha256, feature_space, num_features, threshold, lineage, published_at,
       activation_id, activated_at, actor, reason, replaced_version_id, score_kind
FROM serving.served_model AS served
CROSS JOIN LATERAL (
    SELECT version_id, activation_id, activated_at, actor, reason, replaced_version_id
    FROM serving.activation
    WHERE activation.portfolio = served.portfolio AND activation.model = served.model
    ORDER BY activation_id DESC
    LIMIT 1
) AS newest
JOIN serving.model_version USING (version_id)
"""

LIVE_MODEL_BEFORE = """
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

EMPTYING = """
CREATE TABLE serving.emptying (
    version_id  bigint      PRIMARY KEY REFERENCES serving.model_version,
    keep        integer     NOT NULL,
    emptied_at  timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT keeps_at_least_one CHECK (keep >= 1)
)
"""

# a row here empties its version, so the rule is asked here; newer versions stay whether they served or not, so that
# a person can still activate what a gate held back
EMPTY_ARTIFACT = """
CREATE FUNCTION serving.empty_artifact() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    newer bigint;
BEGIN
    -- nobody activates a version while it is emptied
    PERFORM pg_advisory_xact_lock(hashtextextended('trainyard.serving', 0));
    SELECT count(*) INTO newer
    FROM serving.model_version AS version JOIN serving.model_version AS other USING (portfolio, model)
    WHERE version.version_id = NEW.version_id AND other.version_id > NEW.version_id;
    IF newer < NEW.keep THEN
        RAISE EXCEPTION 'version % is among the newest % of its model: its artifact stays', NEW.version_id, NEW.keep
            USING ERRCODE = 'restrict_violation';
    END IF;
    UPDATE serving.model_version SET artifact = NULL, artifact_uri = NULL, emptied_at = NEW.emptied_at
    WHERE version_id = NEW.version_id;
    RETURN NULL;
END
$$
"""

# a column that is not named here may not change either: the old row with the artifact gone must be the new row
ONLY_EMPTIED = """
CREATE FUNCTION serving.only_emptied() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    emptied serving.model_version := OLD;
BEGIN
    emptied.artifact := NULL;
    emptied.artifact_uri := NULL;
    SELECT e.emptied_at INTO emptied.emptied_at FROM serving.emptying AS e WHERE e.version_id = OLD.version_id;
    IF NOT FOUND OR NEW IS DISTINCT FROM emptied THEN
        RAISE EXCEPTION '%.% is only added to: % is refused', TG_TABLE_SCHEMA, TG_TABLE_NAME, TG_OP
            USING ERRCODE = 'restrict_violation',
                  HINT = 'To serve another version, activate it; artifacts are emptied by serving.empty_artifacts.';
    END IF;
    IF EXISTS (SELECT FROM serving.activation WHERE version_id = OLD.version_id)
       OR EXISTS (SELECT FROM serving.pin WHERE version_id = OLD.version_id) THEN
        RAISE EXCEPTION 'version % has served or was pinned: its artifact stays', OLD.version_id
            USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END
$$
"""

EMPTY_ARTIFACTS = """
CREATE FUNCTION serving.empty_artifacts(of_portfolio text, of_model text, keep integer)
RETURNS TABLE (emptied_version_id bigint, emptied_bytes bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF keep IS NULL OR keep < 1 THEN
        RAISE EXCEPTION 'keep is %: accepted are whole numbers from 1', keep
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    PERFORM pg_advisory_xact_lock(hashtextextended('trainyard.serving', 0));
    RETURN QUERY
        WITH old AS (
            SELECT version_id, coalesce(length(artifact), 0)::bigint AS bytes
            FROM serving.model_version AS version
            WHERE portfolio = of_portfolio AND model = of_model AND emptied_at IS NULL
              AND version_id NOT IN (
                  SELECT newest.version_id FROM serving.model_version AS newest
                  WHERE newest.portfolio = of_portfolio AND newest.model = of_model
                  ORDER BY newest.version_id DESC LIMIT keep
              )
              AND NOT EXISTS (SELECT FROM serving.activation AS a WHERE a.version_id = version.version_id)
              AND NOT EXISTS (SELECT FROM serving.pin AS p WHERE p.version_id = version.version_id)
        ), emptied AS (
            INSERT INTO serving.emptying (version_id, keep) SELECT old.version_id, $3 FROM old
            RETURNING serving.emptying.version_id
        )
        SELECT old.version_id, old.bytes FROM old JOIN emptied USING (version_id) ORDER BY 1;
END
$$
"""

REFUSE_EMPTIED = """
CREATE FUNCTION serving.refuse_emptied() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM serving.model_version WHERE version_id = NEW.version_id AND emptied_at IS NOT NULL) THEN
        RAISE EXCEPTION 'version % has no artifact any more: it cannot serve', NEW.version_id
            USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END
$$
"""

COMMENTS = {
    "TABLE serving.model_version": (
        "Every published version of every model. Rows never change, but for old artifacts that are emptied"
    ),
    "COLUMN serving.model_version.artifact": "The portable model: JSON, gzipped; null above 64 MB and once emptied",
    "COLUMN serving.model_version.score_kind": "What threshold is compared with: a probability or a margin",
    "COLUMN serving.model_version.emptied_at": "When retention let go of an artifact that never served",
    "TABLE serving.decision": "Of each version, whether publishing activated it and why. Only added to",
    "COLUMN serving.decision.outcome": (
        "activated; held_back: it did not pass; recorded: something newer, or a pin, kept it from serving"
    ),
    "COLUMN serving.decision.code": "For grouping",
    "COLUMN serving.decision.sentence": "For a person",
    "COLUMN serving.decision.report": "What was compared, with figures",
    "TABLE serving.pin": "Who pinned or unpinned a model and why; the newest row of a model holds. Only added to",
    "COLUMN serving.pin.version_id": "What served then",
    "COLUMN serving.pin.pinned": "true: publishing activates nothing of this model",
    "VIEW serving.live_model": (
        "The one live version of each model: all that an application reads. Shape 1: columns are only ever added, "
        "at the end"
    ),
    "TABLE serving.served_model": "Every model that has ever served; filled by a trigger",
    "FUNCTION serving.add_served()": "Fills served_model",
    "TABLE serving.emptying": (
        "Versions whose artifacts retention let go of; adding one empties it, and is refused while the version is "
        "to be kept. Only added to"
    ),
    "COLUMN serving.emptying.keep": "How many of the model's newest versions were to be kept",
    "FUNCTION serving.empty_artifact()": "Empties what is added to emptying, if the version need not be kept",
    "FUNCTION serving.only_emptied()": "Keeps versions as they were written, but for emptied artifacts",
    "FUNCTION serving.empty_artifacts(text, text, integer)": (
        "Empties artifacts of a model that never served and are not among its newest, the one way to do so"
    ),
    "FUNCTION serving.refuse_emptied()": "Keeps a version without an artifact from serving",
}


def upgrade() -> None:
    op.execute(MODEL_VERSION)
    op.execute(DECISION)
    op.execute(DECISIONS_OF_OLD)
    op.execute(PIN)
    op.execute("CREATE INDEX pin_by_model ON serving.pin (portfolio, model, pin_id DESC)")
    op.execute("CREATE INDEX pin_by_version ON serving.pin (version_id)")
    for statement in (SERVED_MODEL, SERVED_OF_OLD, ADD_SERVED, LIVE_MODEL):
        op.execute(statement)
    for statement in (EMPTYING, EMPTY_ARTIFACT, ONLY_EMPTIED, EMPTY_ARTIFACTS, REFUSE_EMPTIED):
        op.execute(statement)
    op.execute("REVOKE ALL ON FUNCTION serving.empty_artifacts(text, text, integer) FROM PUBLIC")
    op.execute("DROP TRIGGER only_added_to ON serving.model_version")
    op.execute(
        "CREATE TRIGGER only_emptied BEFORE UPDATE ON serving.model_version "
        "FOR EACH ROW EXECUTE FUNCTION serving.only_emptied()"
    )
    op.execute(
        "CREATE TRIGGER has_an_artifact BEFORE INSERT ON serving.activation "
        "FOR EACH ROW EXECUTE FUNCTION serving.refuse_emptied()"
    )
    op.execute(
        "CREATE TRIGGER serves AFTER INSERT ON serving.activation REFERENCING NEW TABLE AS added "
        "FOR EACH STATEMENT EXECUTE FUNCTION serving.add_served()"
    )
    op.execute(
        "CREATE TRIGGER empties AFTER INSERT ON serving.emptying "
        "FOR EACH ROW EXECUTE FUNCTION serving.empty_artifact()"
    )
    refused = {
        "model_version": "DELETE OR TRUNCATE",
        "emptying": "UPDATE OR DELETE OR TRUNCATE",
        "decision": "UPDATE OR DELETE OR TRUNCATE",
        "pin": "UPDATE OR DELETE OR TRUNCATE",
    }
    for table, changes in refused.items():
        op.execute(
            f"CREATE TRIGGER only_added_to BEFORE {changes} ON serving.{table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION serving.refuse_change()"
        )
    for thing, comment in COMMENTS.items():
        quoted = comment.replace("'", "''")
        op.execute(f"COMMENT ON {thing} IS '{quoted}'")


def downgrade() -> None:
    """What older packages cannot hold is let go: decisions, pins, versions that score by margin or were emptied."""
    op.execute("DROP VIEW serving.live_model")
    for name in ("has_an_artifact", "serves"):
        op.execute(f"DROP TRIGGER {name} ON serving.activation")
    op.execute("DROP TABLE serving.served_model")
    op.execute("DROP TABLE serving.emptying")
    op.execute("DROP TABLE serving.pin")
    op.execute("DROP TABLE serving.decision")
    for name in ("only_added_to", "only_emptied"):
        op.execute(f"DROP TRIGGER {name} ON serving.model_version")
    op.execute("DROP FUNCTION serving.only_emptied()")
    op.execute("DROP FUNCTION serving.empty_artifacts(text, text, integer)")
    for name in ("refuse_emptied", "empty_artifact", "add_served"):
        op.execute(f"DROP FUNCTION serving.{name}()")
    op.execute("ALTER TABLE serving.activation DISABLE TRIGGER only_added_to")
    op.execute(
        "CREATE TEMPORARY TABLE unknown ON COMMIT DROP AS SELECT version_id FROM serving.model_version "
        "WHERE score_kind <> 'probability' OR emptied_at IS NOT NULL"
    )
    op.execute("DELETE FROM serving.activation WHERE version_id IN (TABLE unknown)")
    op.execute(
        "UPDATE serving.activation SET replaced_version_id = NULL WHERE replaced_version_id IN (TABLE unknown)"
    )
    op.execute("DELETE FROM serving.model_version WHERE version_id IN (TABLE unknown)")
    op.execute("ALTER TABLE serving.activation ENABLE TRIGGER only_added_to")
    op.execute(
        "ALTER TABLE serving.model_version"
        " DROP CONSTRAINT threshold_on_the_scale_of_the_score,"
        " DROP CONSTRAINT one_place_for_the_artifact,"
        " DROP COLUMN score_kind, DROP COLUMN emptied_at,"
        " ADD CONSTRAINT model_version_threshold_check CHECK (threshold BETWEEN 0 AND 1),"
        " ADD CONSTRAINT one_place_for_the_artifact CHECK (num_nonnulls(artifact, artifact_uri) = 1)"
    )
    op.execute(
        "CREATE TRIGGER only_added_to BEFORE UPDATE OR DELETE OR TRUNCATE ON serving.model_version "
        "FOR EACH STATEMENT EXECUTE FUNCTION serving.refuse_change()"
    )
    op.execute(LIVE_MODEL_BEFORE)
