"""Two roles without a login, to be granted to those who log in: one reads what serves, one does all that tasks do.

They are made with the schemas where the connection may make them; where it may not, what an administrator has to run is
returned. Roles belong to the whole server: databases of one server share them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

READER = "trainyard_reader"
PUBLISHER = "trainyard_publisher"

# what tasks and the command line do to each table and view; nothing may change what has served. By name, since the
# schemas may hold other people's tables too; a schema's version table is read to see that nothing is left to migrate
_ADDED_TO, _KEPT, _REPLACED = "SELECT, INSERT", "SELECT, INSERT, UPDATE", "SELECT, INSERT, UPDATE, DELETE"
_RELATIONS = {
    "operations": {
        "SELECT": ("trainyard_version",),
        _KEPT: ("attempt", "listing", "launch_pace"),
    },
    "serving": {
        "SELECT": ("live_model", "served_model", "emptying"),
        _ADDED_TO: ("model_version", "decision", "activation", "pin"),
    },
    "analytics": {
        "SELECT": (
            *("trainyard_version", "metric", "latest_metrics", "metric_trend", "freshness"),
            *("portfolio_freshness", "failures", "held_back", "warning", "cost_by_day"),
        ),
        _REPLACED: ("training", "split_metrics", "comparison", "curve"),
    },
}
_SEQUENCES = {
    "serving": ("model_version_version_id_seq", "activation_activation_id_seq", "pin_pin_id_seq"),
}
_EXISTS = text("SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = :role)")


def grant_statements(schemas: Sequence[str]) -> Iterator[str]:
    """What gives both roles their rights in schemas of ours: on what our migrations make, and on nothing else there."""
    for schema in schemas:
        yield f"GRANT USAGE ON SCHEMA {schema} TO {PUBLISHER}"
        for rights, names in _RELATIONS[schema].items():
            yield f"GRANT {rights} ON {_listed(schema, names)} TO {PUBLISHER}"
        if schema in _SEQUENCES:
            sequences = _listed(schema, _SEQUENCES[schema])
            yield f"GRANT USAGE, SELECT, UPDATE ON SEQUENCE {sequences} TO {PUBLISHER}"
        if schema == "serving":
            yield f"GRANT EXECUTE ON FUNCTION serving.empty_artifacts(text, text, integer) TO {PUBLISHER}"
            yield f"GRANT USAGE ON SCHEMA serving TO {READER}"
            yield f"GRANT SELECT ON serving.live_model TO {READER}"


def grant(connection: Connection, schemas: Sequence[str]) -> list[str]:
    """Make the roles and give them their rights; what this connection may not do is returned, to be run by one who may.

    All in the connection's transaction, which goes on whatever was refused.
    """
    missing = [f"CREATE ROLE {role} NOLOGIN" for role in (READER, PUBLISHER) if not _made(connection, role)]
    if missing:
        return [*missing, *grant_statements(schemas)]
    return [statement for statement in grant_statements(schemas) if not _runs(connection, statement)]


def revoke(connection: Connection, schemas: Sequence[str]) -> None:
    """Take the rights on schemas that are about to be emptied; the roles stay, for other databases may use them."""
    for role in (READER, PUBLISHER):
        if not connection.execute(_EXISTS, {"role": role}).scalar_one():
            continue
        for schema in schemas:
            _runs(connection, f"REVOKE ALL ON SCHEMA {schema} FROM {role}")
            if "trainyard_version" in _RELATIONS[schema].get("SELECT", ()):
                _runs(connection, f"REVOKE ALL ON {schema}.trainyard_version FROM {role}")


def _listed(schema: str, names: Sequence[str]) -> str:
    return ", ".join(f"{schema}.{name}" for name in names)


def _made(connection: Connection, role: str) -> bool:
    if connection.execute(_EXISTS, {"role": role}).scalar_one():
        return True
    # another database of the server may be making it at this moment
    return (
        _runs(connection, f"CREATE ROLE {role} NOLOGIN")
        or connection.execute(_EXISTS, {"role": role}).scalar_one()
    )


def _runs(connection: Connection, statement: str) -> bool:
    try:
        with connection.begin_nested():
            connection.execute(text(statement))
    except DBAPIError:
        return False
    return True
