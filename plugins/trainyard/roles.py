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

# what tasks and the command line do in each schema; nothing may change what has served
_RIGHTS = {
    "operations": "SELECT, INSERT, UPDATE",
    "serving": "SELECT, INSERT",
    "analytics": "SELECT, INSERT, UPDATE, DELETE",
}
_EXISTS = text("SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = :role)")


def grant_statements(schemas: Sequence[str]) -> Iterator[str]:
    """What gives both roles their rights in schemas of ours, on tables that later migrations make as well."""
    for schema in schemas:
        rights = _RIGHTS[schema]
        yield f"GRANT USAGE ON SCHEMA {schema} TO {PUBLISHER}"
        yield f"GRANT {rights} ON ALL TABLES IN SCHEMA {schema} TO {PUBLISHER}"
        yield f"GRANT USAGE, SELECT, UPDATE ON ALL SEQUENCES IN SCHEMA {schema} TO {PUBLISHER}"
        for things, given in (("TABLES", rights), ("SEQUENCES", "USAGE, SELECT, UPDATE")):
            yield f"ALTER DEFAULT PRIVILEGES IN SCHEMA {schema} GRANT {given} ON {things} TO {PUBLISHER}"
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
            for things in ("TABLES", "SEQUENCES"):
                _runs(
                    connection,
                    f"ALTER DEFAULT PRIVILEGES IN SCHEMA {schema} REVOKE ALL ON {things} FROM {role}",
                )


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
