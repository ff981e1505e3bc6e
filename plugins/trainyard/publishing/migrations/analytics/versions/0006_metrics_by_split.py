"""Metrics kept as arrays, a row an attempt and split: a row a metric costs a look at its training and a key each.

``metric`` stays what it was to those who read it, and becomes a view. Views of others that read it go on as well; what
cannot be made anew in place, such as a materialized view on it, has PostgreSQL refuse the migration and say its name.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from alembic import op
from sqlalchemy import text

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_SPLIT_METRICS = """
CREATE TABLE analytics.split_metrics (
    training_id     text               NOT NULL,
    attempt         integer            NOT NULL,
    split           text               NOT NULL,
    name            text[]             NOT NULL CHECK (array_position(name, NULL) IS NULL),
    value           double precision[] NOT NULL CHECK (array_position(value, NULL) IS NULL),
    standard_error  double precision[] NOT NULL,
    low             double precision[] NOT NULL,
    high            double precision[] NOT NULL,
    level           double precision[] NOT NULL,
    PRIMARY KEY (training_id, attempt, split),
    FOREIGN KEY (training_id, attempt) REFERENCES analytics.training ON DELETE CASCADE,
    CONSTRAINT as_many_of_each CHECK (
        cardinality(name) > 0 AND cardinality(name) = ALL (ARRAY[
            cardinality(value), cardinality(standard_error), cardinality(low), cardinality(high), cardinality(level)
        ])
    )
)
"""

_METRIC_VIEW = """
CREATE VIEW analytics.metric AS
SELECT training_id, attempt, split,
       metric.name, metric.value, metric.standard_error, metric.low, metric.high, metric.level
FROM analytics.split_metrics AS kept
CROSS JOIN LATERAL unnest(kept.name, kept.value, kept.standard_error, kept.low, kept.high, kept.level)
    AS metric (name, value, standard_error, low, high, level)
"""

_METRIC_TABLE = """
CREATE TABLE analytics.metric (
    training_id     text             NOT NULL,
    attempt         integer          NOT NULL,
    split           text             NOT NULL,
    name            text             NOT NULL,
    value           double precision NOT NULL,
    standard_error  double precision,
    low             double precision,
    high            double precision,
    level           double precision,
    PRIMARY KEY (training_id, attempt, split, name),
    FOREIGN KEY (training_id, attempt) REFERENCES analytics.training ON DELETE CASCADE
)
"""

_ARRAYS = ("name", "value", "standard_error", "low", "high", "level")
# in the order in which publishing writes names, whatever the database's collation
_GATHERED = f"""
INSERT INTO analytics.split_metrics
SELECT training_id, attempt, split, {", ".join(f'array_agg({each} ORDER BY name COLLATE "C")' for each in _ARRAYS)}
FROM analytics.metric_before
GROUP BY training_id, attempt, split
"""  # noqa: S608 (our own list of columns)

_READERS = text("""
SELECT DISTINCT c.oid::regclass::text AS name, pg_get_viewdef(c.oid) AS definition,
       coalesce('WITH (' || array_to_string(c.reloptions, ', ') || ')', '') AS options
FROM pg_depend AS d JOIN pg_rewrite AS r ON d.classid = 'pg_rewrite'::regclass AND r.oid = d.objid
JOIN pg_class AS c ON c.oid = r.ev_class
WHERE d.refobjid = 'analytics.metric'::regclass AND c.relkind = 'v' AND c.oid <> d.refobjid
ORDER BY name
""")

_OWNER = text(
    "SELECT quote_ident(pg_get_userbyid(relowner)) FROM pg_class WHERE oid = 'analytics.metric'::regclass"
)

# of the relation and of its columns
_RIGHTS = text("""
SELECT privilege_type || coalesce(' (' || quote_ident(attname) || ')', '') AS privilege,
       CASE WHEN grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END AS grantee,
       CASE WHEN is_grantable THEN ' WITH GRANT OPTION' ELSE '' END AS option
FROM (
    SELECT relowner, NULL AS attname, (aclexplode(relacl)).* FROM pg_class WHERE oid = CAST(:relation AS regclass)
    UNION ALL
    SELECT relowner, attname, (aclexplode(attacl)).*
    FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
    WHERE attrelid = CAST(:relation AS regclass)
) AS given
WHERE grantee <> relowner AND privilege_type = ANY(:privileges)
""")

_COMMENTS = {
    "standard_error": "Of the value; null where no interval was computed",
    "low": "Lower bound of the value at that level of confidence",
    "high": "Upper bound",
    "level": "Level of confidence of the bounds, such as 0.95",
}


@dataclass(frozen=True)
class _Before:
    """What was called metric, out of the way, and who has to do with it.

    :param readers: of each view on it its name, its definition and its options
    """

    owner: str
    readers: Sequence[tuple[str, str, str]]


def upgrade() -> None:
    before = _put_aside("TABLE")
    op.execute(_SPLIT_METRICS)
    op.execute(
        "COMMENT ON TABLE analytics.split_metrics IS 'Every metric of an attempt on a split, no name twice, as arrays "
        "of equal length; the view metric has a row of each'"
    )
    op.execute(_GATHERED)
    op.execute(_METRIC_VIEW)
    _comment("VIEW")
    op.execute(f"ALTER TABLE analytics.split_metrics OWNER TO {before.owner}")
    _take_the_place(before)
    op.execute("DROP TABLE analytics.metric_before")


def downgrade() -> None:
    before = _put_aside("VIEW")
    op.execute(_METRIC_TABLE)
    op.execute("INSERT INTO analytics.metric TABLE analytics.metric_before")
    _comment("TABLE")
    _take_the_place(before)
    _let_go_on("analytics.split_metrics", "INSERT", "UPDATE", "DELETE")
    op.execute("DROP VIEW analytics.metric_before")
    op.execute("DROP TABLE analytics.split_metrics")


def _put_aside(kind: str) -> _Before:
    bind = op.get_bind()
    readers = [tuple(row) for row in bind.execute(_READERS)]
    # in the order in which a query takes them: of two that wait for each other PostgreSQL would end one
    for name, _, _ in readers:
        op.execute(f"LOCK TABLE {name} IN ACCESS EXCLUSIVE MODE")
    before = _Before(owner=bind.execute(_OWNER).scalar_one(), readers=readers)
    op.execute(f"ALTER {kind} analytics.metric RENAME TO metric_before")
    return before


def _take_the_place(before: _Before) -> None:
    """Give what is called metric now to whom it belonged, and to all who read it; readers keep their own rights."""
    op.execute(f"ALTER TABLE analytics.metric OWNER TO {before.owner}")
    for name, definition, options in before.readers:
        op.execute(text(f"CREATE OR REPLACE VIEW {name} {options} AS {definition}".replace(":", r"\:")))
    _let_go_on("analytics.metric_before", "SELECT")


def _let_go_on(relation: str, *privileges: str) -> None:
    """Give those who have rights on a relation the same ones on metric."""
    rights = op.get_bind().execute(_RIGHTS, {"relation": relation, "privileges": [*privileges]})
    for privilege, grantee, option in rights.all():
        op.execute(text(f"GRANT {privilege} ON analytics.metric TO {grantee}{option}".replace(":", r"\:")))


def _comment(kind: str) -> None:
    op.execute(
        f"COMMENT ON {kind} analytics.metric IS 'Every metric by split and name; an undefined one has no row'"
    )
    for column, comment in _COMMENTS.items():
        op.execute(f"COMMENT ON COLUMN analytics.metric.{column} IS '{comment}'")
