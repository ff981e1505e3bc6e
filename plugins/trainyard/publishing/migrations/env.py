"""What Alembic runs for every migration, on the connection and in the transaction of trainyard.databases."""

from alembic import context

attributes = context.config.attributes
context.configure(
    connection=attributes["connection"],
    version_table=attributes["version_table"],
    version_table_schema=attributes["version_table_schema"],
)
context.run_migrations()
